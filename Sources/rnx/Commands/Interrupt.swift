import Glibc

/// What Ctrl-C means while output is followed: the program ends, the job goes on.
enum Interrupt {
    /// From now on SIGINT and SIGTERM end the program: with 0 from a log, with 128 + n where the caller waits for an
    /// exit code that is not known yet.
    static func endsFollowing(isWaiting: Bool) {
        // Output is never held back, so nothing is lost by leaving at once.
        let handler: @convention(c) (Int32) -> Void =
            isWaiting
            ? { number in
                Interrupt.say()
                _exit(128 + number)
            }
            : { _ in
                Interrupt.say()
                _exit(0)
            }
        signal(SIGINT, handler)
        signal(SIGTERM, handler)
    }

    /// The same for samples.
    static func endsMetrics() {
        let handler: @convention(c) (Int32) -> Void = { _ in
            Interrupt.say("Stopping metrics stream...\n")
            _exit(0)
        }
        signal(SIGINT, handler)
        signal(SIGTERM, handler)
    }

    private static func say(_ text: StaticString = "Stopping log stream...\n") {
        _ = write(STDERR_FILENO, text.utf8Start, text.utf8CodeUnitCount)
    }
}
