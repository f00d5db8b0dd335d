import ArgumentParser
import Foundation
import Glibc
import JobletAPI
import SwiftProtobuf
import Testing

@testable import rnx

@Suite struct LogSinkTests {
    private func chunk(_ text: String, _ stream: Int32 = 1, position: UInt64 = 0, second: Int64 = 0) -> Joblet_DataChunk
    {
        .with {
            $0.payload = Data(text.utf8)
            $0.stream = stream
            $0.position = position
            $0.timestamp = (1_700_000_000 + second) * 1_000_000_000
        }
    }

    /// What a sink writes for these chunks.
    private func printed(_ format: LogSink.Format, _ chunks: [Joblet_DataChunk]) throws -> Data {
        let pipe = Pipe()
        let sink = LogSink(format, output: pipe.fileHandleForWriting.fileDescriptor)
        try chunks.forEach(sink.take)
        try sink.finish()
        try pipe.fileHandleForWriting.close()
        return pipe.fileHandleForReading.readDataToEndOfFile()
    }

    @Test func `Raw output is the bytes of the job`() throws {
        let bytes = Data((0...255).map { UInt8($0) } + [0, 10, 13, 255])
        let raw = Joblet_DataChunk.with { $0.payload = bytes }
        #expect(try printed(.raw, [raw, chunk("x", 2), raw]) == bytes + Data("x".utf8) + bytes)
    }

    @Test func `JSON is one object in a line, exact also for bytes that are no text`() throws {
        var binary = chunk("", 2, position: 7, second: 1)
        binary.payload = Data([0xFF, 0x41])
        let lines = String(decoding: try printed(.json, [chunk("a\nb", 1), binary]), as: UTF8.self)
        #expect(
            lines == """
                {"data":"a\\nb","timestamp":"2023-11-14T22:13:20.000000000Z","stream":"stdout","position":0}
                {"data":"\u{FFFD}A","data_base64":"/0E=","timestamp":"2023-11-14T22:13:21.000000000Z",\
                "stream":"stderr","position":7}

                """)
    }

    @Test func `Timestamps stand in front of lines, not of chunks`() throws {
        let chunks = [
            chunk("one\ntw", 1, second: 0), chunk("err\n", 2, second: 1), chunk("o\nthree", 1, second: 2),
        ]
        #expect(
            String(decoding: try printed(.timestamps, chunks), as: UTF8.self) == """
                2023-11-14T22:13:20.000000000Z one
                2023-11-14T22:13:21.000000000Z err
                2023-11-14T22:13:20.000000000Z two
                2023-11-14T22:13:22.000000000Z three

                """)
    }

    @Test func `A line without end is not kept in memory`() throws {
        var lines = TimestampedLines()
        let output = lines.add(chunk(String(repeating: "x", count: TimestampedLines.longest + 1)))
        #expect(output.count > TimestampedLines.longest)
        let rest = String(decoding: lines.add(chunk("yz\nnext\n")), as: UTF8.self)
        #expect(rest.split(separator: "\n").map { $0.drop { $0 != " " } } == [" [continued] yz", " next"])
        #expect(lines.finish().isEmpty)
    }

    @Test func `The next position follows from what was printed`() throws {
        let sink = LogSink(.raw, output: open("/dev/null", O_WRONLY))
        #expect(sink.nextPosition == 0)
        try sink.take(chunk("abc", position: 10))
        #expect(sink.nextPosition == 13)
        try sink.take(.with { $0.payload = Data("a server without positions".utf8) })
        #expect(sink.nextPosition == nil)
    }

    @Test func `A reader that has gone ends the program quietly`() throws {
        signal(SIGPIPE, SIG_IGN)
        let pipe = Pipe()
        try pipe.fileHandleForReading.close()
        let sink = LogSink(.raw, output: pipe.fileHandleForWriting.fileDescriptor)
        #expect(throws: ExitCode.success) { try sink.take(chunk("x")) }
    }

    @Test func `A full disk is an error`() throws {
        let sink = LogSink(.raw, output: open("/dev/full", O_WRONLY))
        #expect(throws: Failure(.local, "cannot write to standard output: No space left on device")) {
            try sink.take(chunk("x"))
        }
    }
}
