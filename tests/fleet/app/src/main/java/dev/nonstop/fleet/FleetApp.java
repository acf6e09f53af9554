package dev.nonstop.fleet;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.boot.context.event.ApplicationPreparedEvent;
import org.springframework.context.ApplicationListener;

/** Starts the application and lets it misbehave as its release says. */
@SpringBootApplication(proxyBeanMethods = false)
public class FleetApp {
    public static void main(String[] arguments) {
        SpringApplication application = new SpringApplication(FleetApp.class);
        application.addListeners((ApplicationListener<ApplicationPreparedEvent>) event ->
                Behaviour.of(event.getApplicationContext().getEnvironment()).beforeStart());
        application.run(arguments);
    }
}
