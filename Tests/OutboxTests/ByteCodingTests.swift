import Kernel
import TestSupport
import Testing

struct ByteCodingTests {
    @Test("integers are little-endian, texts and lists carry their length") func golden() {
        var writer = ByteWriter()
        writer.write(UInt32(0x0102_0304))
        writer.write(Int16(-2))
        writer.write(true)
        writer.write("é")
        writer.write([7, 8] as [UInt8])
        writer.write(list: ["a", ""]) { $0.write($1) }
        #expect(hex(writer.bytes) == "04030201feff0102000000c3a90200000007080200000001000000610000" + "0000")
    }

    @Test("what was written is read, and nothing is left") func roundTrip() throws {
        var writer = ByteWriter()
        writer.write(UInt64.max)
        writer.write(Int64.min)
        writer.write("text")
        writer.write([1, 2, 3] as [UInt8])
        writer.write(list: [5, 6] as [UInt16]) { $0.write($1) }
        writer.write(false)
        // A slice keeps its indices, which the reader must not take for positions.
        let framed = [9, 9] + writer.bytes + [9]
        var reader = ByteReader(framed[2..<framed.count - 1])
        #expect(try reader.read(UInt64.self) == .max)
        #expect(try reader.read(Int64.self) == .min)
        #expect(try reader.readString() == "text")
        #expect(Array(try reader.readBytes()) == [1, 2, 3])
        #expect(
            try reader.readList { (reader) throws(MalformedMessage) in try reader.read(UInt16.self) } == [5, 6])
        #expect(try !reader.readBool())
        try reader.finish()
        #expect(reader.remaining == 0)
    }

    @Test("an integer cut short is refused", arguments: 0..<8)
    func shortInteger(_ count: Int) {
        var reader = ByteReader([UInt8](repeating: 1, count: count))
        #expect(throws: MalformedMessage.self) { try reader.read(UInt64.self) }
    }

    @Test(
        "a length beyond the message is not believed",
        arguments: [[255, 255, 255, 255, 1], [2, 0, 0, 0, 1]] as [[UInt8]])
    func length(_ bytes: [UInt8]) {
        var reader = ByteReader(bytes)
        #expect(throws: MalformedMessage.self) { try reader.readBytes() }
        reader = ByteReader(bytes)
        #expect(throws: MalformedMessage.self) { try reader.readString() }
        reader = ByteReader(bytes)
        #expect(throws: MalformedMessage.self) {
            try reader.readList { (reader) throws(MalformedMessage) in try reader.read(UInt8.self) }
        }
    }

    @Test(
        "a text that is not UTF-8 or holds NUL is refused",
        arguments: [[0xff], [0xc3], [0x61, 0], [0xed, 0xa0, 0x80]] as [[UInt8]])
    func text(_ raw: [UInt8]) {
        var writer = ByteWriter()
        writer.write(raw)
        var reader = ByteReader(writer.bytes)
        #expect(throws: MalformedMessage.self) { try reader.readString() }
    }

    @Test("a truth value is 0 or 1, and a message ends where it ends") func rest() {
        var reader = ByteReader([2] as [UInt8])
        #expect(throws: MalformedMessage.self) { try reader.finish() }
        #expect(throws: MalformedMessage.self) { try reader.readBool() }
    }
}
