import Glibc

/// Points in time in the forms of the AWS wire; values are seconds since 1970, UTC.
enum AWSDate {
    /// The host's time.
    static func now() -> Int64 { Int64(time(nil)) }

    /// `20130524T000000Z`.
    static func basic(_ seconds: Int64) -> String {
        var moment = time_t(seconds)
        var parts = tm()
        gmtime_r(&moment, &parts)
        let date =
            digits(Int(parts.tm_year) + 1900, 4) + digits(Int(parts.tm_mon) + 1, 2) + digits(Int(parts.tm_mday), 2)
        return date + "T" + digits(Int(parts.tm_hour), 2) + digits(Int(parts.tm_min), 2) + digits(Int(parts.tm_sec), 2)
            + "Z"
    }

    /// The time of a `Date` field: `Fri, 24 May 2013 00:00:00 GMT`.
    static func parse(http text: String) -> Int64? {
        let words = text.split(separator: " ")
        guard words.count == 6, words[5] == "GMT", let day = Int32(words[1]), let year = Int32(words[3]),
            let month = months.firstIndex(of: String(words[2]))
        else { return nil }
        return seconds(year, Int32(month) + 1, day, words[4])
    }

    /// The time of a credential's end: `2013-05-24T00:00:00Z`, with or without a fraction.
    static func parse(iso text: String) -> Int64? {
        let halves = text.split(separator: "T")
        guard halves.count == 2, halves[1].hasSuffix("Z") else { return nil }
        let date = halves[0].split(separator: "-").compactMap { Int32($0) }
        guard date.count == 3 else { return nil }
        return seconds(date[0], date[1], date[2], halves[1].dropLast().prefix(8))
    }

    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    private static func seconds(_ year: Int32, _ month: Int32, _ day: Int32, _ clock: Substring) -> Int64? {
        let parts = clock.split(separator: ":").compactMap { Int32($0) }
        guard parts.count == 3, (1970...9999).contains(year), (1...12).contains(month), (1...31).contains(day),
            (0...23).contains(parts[0]), (0...59).contains(parts[1]), (0...60).contains(parts[2])
        else { return nil }
        var moment = tm()
        moment.tm_year = year - 1900
        moment.tm_mon = month - 1
        moment.tm_mday = day
        moment.tm_hour = parts[0]
        moment.tm_min = parts[1]
        moment.tm_sec = parts[2]
        return Int64(timegm(&moment))
    }

    private static func digits(_ value: Int, _ count: Int) -> String {
        let text = String(value)
        return String(repeating: "0", count: max(0, count - text.count)) + text
    }
}
