import Testing

@testable import Server

@Suite struct ConfigurationValueTests {
    @Test(
        arguments: [
            ("0", Duration.zero), ("0s", .zero), ("100ms", .milliseconds(100)), ("5s", .seconds(5)),
            ("1h30m", .seconds(5400)), ("1.5h", .seconds(5400)), (".5s", .milliseconds(500)), ("2.s", .seconds(2)),
            ("1h2m3s4ms5us6ns", .seconds(3723) + .nanoseconds(4_005_006)), ("3µs", .microseconds(3)),
            ("3μs", .microseconds(3)), ("0.000000001s", .nanoseconds(1)),
            ("0.123456789h", .nanoseconds(444_444_440_400)),
            ("2562047h", .seconds(9_223_369_200)),
        ] as [(String, Duration)])
    func `durations read as Go reads them`(text: String, duration: Duration) {
        #expect(GoDuration.parse(text) == duration)
    }

    @Test(
        arguments: [
            "", "5", "s", "5 s", " 5s", "5s ", "-5s", "+5s", "5S", "5sec", "1d", ".s", "1..5s", "1h30", "５s", "1e3s",
            "2562048h", "9223372036854775807h", "99999999999999999999s", "0.1234567891s", "1h,5m", "\u{0}5s",
        ])
    func `what is not a duration is refused`(text: String) {
        #expect(GoDuration.parse(text) == nil)
    }

    @Test(
        arguments: [
            (Duration.zero, "0s"), (.seconds(5), "5s"), (.seconds(5400), "1h30m"), (.milliseconds(1500), "1s500ms"),
            (.seconds(300), "5m"), (.nanoseconds(1), "1ns"), (.seconds(8760 * 3600), "8760h"),
        ] as [(Duration, String)])
    func `durations are shown in a form that reads the same`(duration: Duration, text: String) {
        #expect(GoDuration.show(duration) == text)
        #expect(GoDuration.parse(text) == duration)
    }

    @Test(
        arguments: [
            ("0", 0), ("1024", 1024), ("1KB", 1024), ("1KiB", 1024), ("64MiB", 64 << 20), ("64 MB", 64 << 20),
            ("2gb", 2 << 30), ("3TiB", 3 << 40), ("7B", 7),
        ])
    func `sizes count in powers of 1024`(text: String, bytes: Int) {
        #expect(ByteSize.parse(text) == bytes)
    }

    @Test(
        arguments: [
            "", "MB", "-1", "+1", "1.5GB", "1G", "512Mi", "1PB", "IB", "1IB", "0x10", "010", "1_000", "1\tMB", "1MB ",
            "9223372036854775808", "8388608TiB", "１MB",
        ])
    func `what is not a size is refused`(text: String) {
        #expect(ByteSize.parse(text) == nil)
    }

    @Test(arguments: [0, 1, 1023, 1024, 64 << 20, 3 << 40, (1 << 30) + 1])
    func `sizes are shown in a form that reads the same`(bytes: Int) {
        #expect(ByteSize.parse(ByteSize.show(bytes)) == bytes)
    }

    @Test(
        arguments: [
            "0.0.0.0", "127.0.0.1", "::", "::1", "fe80::1", "localhost", "joblet", "node-1.example.com", "a_b", "1a.2",
        ])
    func `addresses and host names are accepted`(text: String) {
        #expect(HostName.parse(text) == text)
    }

    @Test(
        arguments: [
            "", " ", "256.1.1.1", "1.2.3", "1.2.3.4.5", "12", ":::", "a b", "a..b", ".a", "a.", "-a", "a-", "a:1",
            "[::1]",
            "a/b", "ä", "x\u{0}", String(repeating: "a", count: 64), String(repeating: "a.", count: 130) + "a",
        ])
    func `what nobody can listen on is refused`(text: String) {
        #expect(HostName.parse(text) == nil)
    }

    @Test(
        arguments: [
            ("/", "/"), ("/a", "/a"), ("/a/", "/a"), ("//a///b/", "/a/b"), ("/a/./b", "/a/b"), ("/a b/ü", "/a b/ü"),
            ("", nil), ("a", nil), ("./a", nil), ("~/a", nil), ("/a/../b", nil), ("/a\u{0}b", nil), ("/a\nb", nil),
            ("/" + String(repeating: "a", count: 4096), nil),
        ])
    func `paths are absolute, and lose what does not matter`(text: String, path: String?) {
        #expect(AbsolutePath.parse(text) == path)
    }

    @Test func `a path is within itself and the directories above it, not within its neighbours`() {
        #expect(AbsolutePath.isWithin("/a/b", "/a/b"))
        #expect(AbsolutePath.isWithin("/a/b", "/a"))
        #expect(AbsolutePath.isWithin("/a", "/"))
        #expect(!AbsolutePath.isWithin("/a", "/a/b"))
        #expect(!AbsolutePath.isWithin("/ab", "/a"))
    }
}
