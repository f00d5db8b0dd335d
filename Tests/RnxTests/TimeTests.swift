import Testing

@testable import rnx

@Suite(.serialized) struct TimeTests {
    private let now: Int64 = 1_700_000_000_000_000_000

    @Test(
        "Durations are read as Go writes them",
        arguments: [
            ("10m", 600_000_000_000), ("2h30m", 9_000_000_000_000), ("1.5h", 5_400_000_000_000), ("250ms", 250_000_000),
            ("90s", 90_000_000_000), ("0", 0), ("1ns", 1), ("3us", 3000),
        ] as [(String, Int64)])
    func duration(_ text: String, _ expected: Int64) {
        #expect(GoDuration.nanoseconds(text) == expected)
    }

    @Test(
        "What is no duration is refused",
        arguments: ["", "m", "10", "-1s", "10x", "1..5s", "١s", "10 m", "1e3s", "999999999h", "inf", "s10"])
    func noDuration(_ text: String) {
        #expect(GoDuration.nanoseconds(text) == nil)
    }

    @Test(
        "Points in time are read",
        arguments: [
            ("2023-11-14T22:13:20Z", 1_700_000_000_000_000_000),
            ("2023-11-14T23:13:20+01:00", 1_700_000_000_000_000_000),
            ("2023-11-14T22:13:20.5Z", 1_700_000_000_500_000_000),
            ("10m", 1_699_999_400_000_000_000),
            ("2h30m", 1_699_991_000_000_000_000),
        ] as [(String, Int64)])
    func point(_ text: String, _ expected: Int64) {
        #expect(PointInTime(text, now: now)?.nanoseconds == expected)
    }

    @Test(
        "Local times are read in the zone of the host",
        arguments: ["2023-11-14 12:00:00", "2023-11-14T12:00:00", "2023-11-14 12:00", "2023-11-14T12:00"])
    func local(_ text: String) throws {
        let time = try #require(PointInTime(text, now: now)?.nanoseconds)
        #expect(TimeText.local(time).hasPrefix("2023-11-14 12:00:00 "))
    }

    @Test(
        "What is no point in time is refused",
        arguments: [
            "", "yesterday", "2023-11-14", "2023-13-14 12:00:00", "2023-11-14 12:00:00x", "2023-11-14T22:13:20Zx",
            "2023-02-30 12:00:00", "2023-11-14T22:13:20+01:00 ", "12:00", "1969-12-31T00:00:00Z", "999999h",
            "2023-11-14 25:00:00", "; rm -rf /",
        ])
    func noPoint(_ text: String) {
        #expect(PointInTime(text, now: now) == nil)
    }

    @Test(
        "Schedules become RFC 3339",
        arguments: [
            ("1min", "2023-11-14T22:14:20Z"), ("2h30m", "2023-11-15T00:43:20Z"), ("45s", "2023-11-14T22:14:05Z"),
            ("1 hour 30 minutes", "2023-11-14T23:43:20Z"), ("2025-07-18T20:02:48Z", "2025-07-18T20:02:48Z"),
            ("2025-07-18T20:02:48+02:00", "2025-07-18T18:02:48Z"),
        ])
    func schedule(_ text: String, _ expected: String) throws {
        #expect(try Schedule.time(text, now: now) == expected)
    }

    @Test(
        "Schedules that make no sense are refused",
        arguments: ["", "soon", "2y", "0s", "9000h", "99999999999999999999h", "h", "10", "1h 10", "-1h"])
    func noSchedule(_ text: String) {
        #expect(throws: Failure.self) { try Schedule.time(text, now: now) }
    }

    @Test func `Durations are shown shortly`() {
        let second: Int64 = 1_000_000_000
        #expect(TimeText.duration(second * 42 / 10) == "4.2s")
        #expect(TimeText.duration(90 * second) == "1.5m")
        #expect(TimeText.duration(7500 * second) == "2h5m")
        #expect(TimeText.duration(273_600 * second) == "3d4h")
        #expect(TimeText.duration(-5) == "0.0s")
    }

    @Test func `Times are shown in RFC 3339`() {
        #expect(TimeText.rfc3339(1_700_000_000_000_000_042) == "2023-11-14T22:13:20.000000042Z")
        #expect(TimeText.rfc3339Seconds(1_700_000_000_999_999_999) == "2023-11-14T22:13:20Z")
        #expect(TimeText.table("2024-01-15T10:30:00+02:00") == "2024-01-15 10:30:00")
        #expect(TimeText.table("") == "N/A")
    }
}
