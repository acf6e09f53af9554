//! Two applications on the same hosts know nothing of each other.

use crate::fixture::{Fleet, WAS};

#[test]
fn a_second_app_on_the_same_nginx_is_untouched_by_the_firsts_deploy() {
    let fleet = Fleet::reset();
    let (shop, books) = (fleet.shop(), fleet.shop().named("books", [9080, 9081]));
    shop.has_deployed("v1");
    books.has_deployed("b1");
    let before = fleet.photograph();
    let load = books.load();
    shop.has_deployed("v2");
    load.lost_nothing();
    let after = fleet.photograph();
    let of_books =
        |it: &crate::fixture::Photograph| it.matching(&["books", "listener 9080"]).without(" deploy ");
    assert_eq!(of_books(&after), of_books(&before));
    for host in WAS {
        assert_eq!(after.listeners(host)[&9080], before.listeners(host)[&9080]);
    }
    shop.stands("v2", 8081);
    books.stands("b1", 9080);
}

#[test]
fn two_apps_on_the_same_hosts_can_deploy_at_once() {
    let fleet = Fleet::reset();
    let (shop, books) = (fleet.shop(), fleet.shop().named("books", [9080, 9081]));
    shop.has_deployed("v1");
    books.has_deployed("b1");
    let (shop_load, books_load) = (shop.load(), books.load());
    let (one, other) = (shop.deploy("v2").start(), books.deploy("b2").start());
    one.wait().deployed();
    other.wait().deployed();
    shop_load.lost_nothing();
    books_load.lost_nothing();
    shop.stands("v2", 8081);
    books.stands("b2", 9081);
}
