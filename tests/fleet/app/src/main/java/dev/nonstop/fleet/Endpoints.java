package dev.nonstop.fleet;

import org.springframework.beans.factory.annotation.Value;
import org.springframework.http.MediaType;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.PostMapping;
import org.springframework.web.bind.annotation.RequestBody;
import org.springframework.web.bind.annotation.RequestParam;
import org.springframework.web.bind.annotation.RestController;

/** What the tests' clients ask for; every answer is plain text. */
@RestController
class Endpoints {
    private final SwitchableHealth health;
    private final String version;
    private final String profile;
    private final String port;

    Endpoints(
            SwitchableHealth health,
            @Value("${fleet.version}") String version,
            @Value("${fleet.profile:default}") String profile,
            @Value("${server.port}") String port) {
        this.health = health;
        this.version = version;
        this.profile = profile;
        this.port = port;
    }

    @GetMapping(path = "/", produces = MediaType.TEXT_PLAIN_VALUE)
    String home() {
        return "fleet-app " + version + " " + profile + " " + port + "\n";
    }

    @GetMapping(path = "/version", produces = MediaType.TEXT_PLAIN_VALUE)
    String version() {
        return version;
    }

    @GetMapping(path = "/profile", produces = MediaType.TEXT_PLAIN_VALUE)
    String profile() {
        return profile;
    }

    /** Answers after that many milliseconds: a request in flight across a switch. */
    @GetMapping(path = "/slow", produces = MediaType.TEXT_PLAIN_VALUE)
    String slow(@RequestParam(defaultValue = "1000") long ms) throws InterruptedException {
        Thread.sleep(ms);
        return version;
    }

    @GetMapping(path = "/echo", produces = MediaType.TEXT_PLAIN_VALUE)
    String echo(@RequestParam(defaultValue = "") String say) {
        return say;
    }

    @PostMapping(path = "/echo", produces = MediaType.TEXT_PLAIN_VALUE)
    String echoBody(@RequestBody(required = false) String body) {
        return body == null ? "" : body;
    }

    /** Lets a running application get ill or well again: {@code POST /control/health?say=down}. */
    @PostMapping(path = "/control/health", produces = MediaType.TEXT_PLAIN_VALUE)
    String control(@RequestParam String say) {
        health.say(say);
        return say;
    }
}
