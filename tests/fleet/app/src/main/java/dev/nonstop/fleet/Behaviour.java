package dev.nonstop.fleet;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.springframework.core.env.Environment;
import sun.misc.Signal;
import sun.misc.SignalHandler;

/** How this release misbehaves; a release without faults has the default of every field. */
record Behaviour(String health, long startDelayMs, boolean crashAtStart, boolean ignoreTerm) {
    private static final Behaviour GOOD = new Behaviour("up", 0, false, false);

    static Behaviour of(Environment environment) {
        String onlyOn = environment.getProperty("fleet.only-on", "");
        if (!onlyOn.isEmpty() && !onlyOn.equals(hostName())) {
            return GOOD;
        }
        return new Behaviour(
                environment.getProperty("fleet.health", "up"),
                environment.getProperty("fleet.start-delay-ms", Long.class, 0L),
                environment.getProperty("fleet.crash-at-start", Boolean.class, false),
                environment.getProperty("fleet.ignore-term", Boolean.class, false));
    }

    /** Runs the part that shows before the port listens. */
    void beforeStart() {
        if (ignoreTerm) {
            Signal.handle(new Signal("TERM"), SignalHandler.SIG_IGN);
        }
        try {
            Thread.sleep(startDelayMs);
        } catch (InterruptedException interrupted) {
            Thread.currentThread().interrupt();
        }
        if (crashAtStart) {
            throw new IllegalStateException("this release crashes at start: fleet.crash-at-start is set");
        }
    }

    private static String hostName() {
        try {
            return Files.readString(Path.of("/proc/sys/kernel/hostname")).strip();
        } catch (IOException unreadable) {
            return "";
        }
    }
}
