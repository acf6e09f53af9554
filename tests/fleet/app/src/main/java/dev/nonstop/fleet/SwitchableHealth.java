package dev.nonstop.fleet;

import org.springframework.boot.actuate.health.Health;
import org.springframework.boot.actuate.health.HealthIndicator;
import org.springframework.boot.actuate.health.Status;
import org.springframework.core.env.Environment;
import org.springframework.stereotype.Component;

/** The only health indicator: says what the release, or later a test, tells it to say. */
@Component("fleet")
class SwitchableHealth implements HealthIndicator {
    private volatile String says;

    SwitchableHealth(Environment environment) {
        says = Behaviour.of(environment).health();
    }

    void say(String health) {
        says = health;
    }

    @Override
    public Health health() {
        return switch (says) {
            case "up" -> Health.up().build();
            case "unknown" -> Health.unknown().build();
            default -> Health.status(Status.DOWN).build();
        };
    }
}
