/// Text such as services write, made from a seed: times, levels, parts of a program, ids, figures.
///
/// Words repeat as they do in logs and ids never do, so that it compresses as logs do.
package struct LogText {
    /// The lines so far.
    package private(set) var bytes: [UInt8] = []
    private var state: UInt64
    /// Microseconds since midnight.
    private var time: UInt64 = 9 * 3_600_000_000

    private static let parts = [
        "http.server", "orders.checkout", "db.pool", "cache.redis", "auth.session", "scheduler", "billing.invoice",
        "search.index",
    ]
    private static let paths = [
        "/api/v2/orders/", "/api/v2/orders/items/", "/api/v2/customers/", "/api/v1/search/", "/api/v1/users/",
        "/api/v2/carts/", "/api/v2/invoices/", "/static/images/",
    ]
    private static let failures = [
        "connection reset by peer", "deadline exceeded after 5s", "duplicate key value violates unique constraint",
        "no route to host",
    ]

    /// At least `count` bytes of whole lines.
    package init(bytes count: Int, seed: UInt64) {
        state = seed
        bytes.reserveCapacity(count + 512)
        while bytes.count < count { line() }
    }

    private mutating func line() {
        time += 1 + random(900)
        let seconds = time / 1_000_000 % 86_400
        bytes += "2026-11-28T".utf8
        digits(seconds / 3600, 2)
        bytes += ":".utf8
        digits(seconds / 60 % 60, 2)
        bytes += ":".utf8
        digits(seconds % 60, 2)
        bytes += ".".utf8
        digits(time % 1_000_000, 6)
        let level = random(100)
        bytes += (level < 2 ? "Z ERROR [" : level < 8 ? "Z WARN  [" : level < 30 ? "Z DEBUG [" : "Z INFO  [").utf8
        bytes += Self.parts[Int(random(8))].utf8
        bytes += "] ".utf8
        switch (level, random(4)) {
        case (..<2, _): failure()
        case (_, 0): query()
        case (_, 1): job()
        default: request()
        }
        bytes.append(UInt8(ascii: "\n"))
    }

    private mutating func request() {
        bytes += "request completed method=".utf8
        bytes += (random(4) == 0 ? "POST" : "GET").utf8
        bytes += " path=".utf8
        bytes += Self.paths[Int(random(8))].utf8
        decimal(random(10_000_000))
        bytes += (random(20) == 0 ? " status=404 bytes=" : " status=200 bytes=").utf8
        decimal(random(60_000))
        bytes += " duration=".utf8
        decimal(random(90))
        bytes += ".".utf8
        decimal(random(10))
        bytes += "ms client=10.3.".utf8
        decimal(random(32))
        bytes += ".".utf8
        decimal(random(256))
        bytes += " trace=".utf8
        identifier()
        bytes += " span=".utf8
        identifier(digits: 8)
    }

    private mutating func query() {
        bytes += "query finished statement=\"SELECT * FROM orders WHERE customer_id = $1\" rows=".utf8
        decimal(random(500))
        bytes += " elapsed_us=".utf8
        decimal(random(20_000))
        bytes += " connection=".utf8
        decimal(random(64))
        bytes += " trace=".utf8
        identifier()
    }

    private mutating func job() {
        bytes += "message processed queue=events partition=".utf8
        decimal(random(24))
        bytes += " offset=".utf8
        decimal(48_000_000 + time / 100)
        bytes += " attempt=1 key=".utf8
        identifier()
    }

    private mutating func failure() {
        bytes += "request failed error=\"".utf8
        bytes += Self.failures[Int(random(4))].utf8
        bytes += "\" trace=".utf8
        identifier()
    }

    private mutating func identifier(digits count: Int = 16) {
        var value = random(.max)
        for _ in 0..<count {
            let digit = UInt8(truncatingIfNeeded: value) & 0xf
            value >>= 4
            bytes.append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
        }
    }

    private mutating func decimal(_ value: UInt64) {
        var (count, rest) = (1, value / 10)
        while rest > 0 { (count, rest) = (count + 1, rest / 10) }
        digits(value, count)
    }

    private mutating func digits(_ value: UInt64, _ count: Int) {
        var divisor: UInt64 = 1
        for _ in 1..<count { divisor *= 10 }
        while divisor > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(value / divisor % 10))
            divisor /= 10
        }
    }

    /// SplitMix64, below `bound`.
    private mutating func random(_ bound: UInt64) -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return (value ^ (value >> 31)) % bound
    }
}
