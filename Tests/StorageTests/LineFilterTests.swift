import Storage
import Testing

/// Lines that are long, or are written a byte at a time.
@Suite struct LineFilterTests {
    private func passed(_ pieces: [(LogStream, String)], _ pattern: String) throws -> LogPage {
        var filter = LineFilter(try #require(LinePattern(pattern)))
        var position: UInt64 = 0
        for (index, (stream, text)) in pieces.enumerated() {
            let bytes = Array(text.utf8)
            filter.add(
                Fragment(stream: stream, position: position, time: Int64(index), content: .bytes(count: bytes.count)),
                bytes[...])
            position += UInt64(bytes.count)
        }
        filter.finish()
        return filter.takePage(upTo: LogCursor(position: position), isLast: true)
    }

    @Test func `a line that came byte by byte is found whole`() throws {
        let bytes = "one\nneedle in a line\nthree\n".map { (LogStream.stdout, String($0)) }
        let page = try passed(bytes, "needle")
        #expect(page.bytes == Array("needle in a line\n".utf8))
        #expect(page.fragments.map(\.position) == (4..<21).map { UInt64($0) })
    }

    @Test func `a line of very many fragments is decided in pieces`() throws {
        var pieces = [(LogStream, String)](repeating: (.stdout, "."), count: 200_000)
        pieces[100_000].1 = "x"
        pieces.append((.stdout, "\n"))
        let page = try passed(pieces, "x")
        #expect(page.bytes.count == 1 << 16)
        #expect(page.fragments.first?.position == 1 << 16)
    }

    @Test func `a line of one stream waits for nothing but the end of its own`() throws {
        let page = try passed([(.stderr, "x open"), (.stdout, "x\n"), (.stdout, "y\n"), (.stderr, " end\n")], "x")
        #expect(page.bytes == Array("x openx\n end\n".utf8))
        #expect(page.fragments.map(\.stream) == [.stderr, .stdout, .stderr])
    }
}
