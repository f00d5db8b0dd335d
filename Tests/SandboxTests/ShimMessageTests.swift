import Kernel
import Sandbox
import TestSupport
import Testing

struct ShimMessageTests {
    private static let job = ShimJob(high: 0x0011_2233_4455_6677, low: 0x8899_aabb_ccdd_eeff)
    private static let jobBytes = "7766554433221100ffeeddccbbaa9988"
    private static let exit = ExitRecord(
        job: ShimJob(high: 1, low: 2), token: 3, time: 4, exitCode: -1, signal: 9, ranOutOfMemory: true)
    private static let exitBytes = "0100000000000000020000000000000003000000000000000400000000000000ffff0901"

    private static let requests: [(ShimRequest, String)] = [
        (.hello(lowest: 1, highest: 2), "060000000100" + "01000200"),
        (
            .configure(OutboxBudget(root: "/o", nodeBytes: 258, reserveBytes: 3)),
            "180000000200" + "020000002f6f" + "0201000000000000" + "0300000000000000"
        ),
        (.stop(job, grace: 5), "1a0000000400" + jobBytes + "0500000000000000"),
        (.kill(job), "120000000500" + jobBytes),
        (.acknowledge(job), "120000000600" + jobBytes),
        (.released(job), "120000000700" + jobBytes),
        (.retire, "020000000800"),
        (.dismiss, "020000000900"),
    ]

    private static let events: [(ShimEvent, String)] = [
        (
            .welcome(
                version: 1, pid: 7,
                jobs: [
                    ShimJobState(job: job, token: 3, pid: 8, startedAt: 9, exit: exit, isDrained: true),
                    ShimJobState(job: job, token: 3, pid: 8, startedAt: 0, exit: nil, isDrained: false),
                ]),
            "7c0000006500" + "010007000000" + "02000000"
                + jobBytes + "0300000000000000" + "08000000" + "0900000000000000" + "01" + exitBytes + "01"
                + jobBytes + "0300000000000000" + "08000000" + "0000000000000000" + "00" + "00"
        ),
        (.started(job, pid: 8, time: 9), "1e0000006600" + jobBytes + "08000000" + "0900000000000000"),
        (.startFailed(job, step: "x", code: 2), "1b0000006700" + jobBytes + "0100000078" + "02000000"),
        (.exited(exit), "260000006800" + exitBytes),
        (.drained(job, position: 258), "1a0000006900" + jobBytes + "0201000000000000"),
    ]

    private static var start: StartRequest {
        var plan = SandboxPlan()
        plan.arguments = ["true"]
        plan.environment = ["SECRET=1"]
        plan.idBase = 65_536
        return StartRequest(
            token: 3, job: job,
            cgroup: CgroupPlan(
                isUnified: true, directories: ["/c"], settings: [.init(path: "p", value: "1")], outOfMemoryEvents: "e"),
            output: OutputPlan(root: "/o", segmentBytes: 1, jobBytes: 2, dropsAtLimit: true), plan: plan)
    }

    private static func decode(_ frame: [UInt8]) throws -> ShimRequest {
        let (number, count) = try ShimFrame.decode(header: Array(frame.prefix(ShimFrame.headerSize)))
        #expect(count == frame.count - ShimFrame.headerSize)
        return try ShimRequest(number: number, body: Array(frame.dropFirst(ShimFrame.headerSize)))
    }

    @Test("a request has the bytes that the protocol says", arguments: requests)
    func goldenRequest(_ request: ShimRequest, _ bytes: String) throws {
        #expect(hex(request.frame) == bytes)
        #expect(try ShimMessageTests.decode(request.frame) == request)
    }

    @Test("an event has the bytes that the protocol says", arguments: events)
    func goldenEvent(_ event: ShimEvent, _ bytes: String) throws {
        #expect(hex(event.frame) == bytes)
        let (number, _) = try ShimFrame.decode(header: Array(event.frame.prefix(ShimFrame.headerSize)))
        #expect(try ShimEvent(number: number, body: Array(event.frame.dropFirst(ShimFrame.headerSize))) == event)
    }

    @Test("a start carries its plan as the last of its fields, and decoding leaves it there")
    func goldenStart() throws {
        let request = ShimMessageTests.start
        let fields =
            "0300000000000000" + ShimMessageTests.jobBytes + "01" + "01000000020000002f63"
            + "01000000" + "0100000070" + "0100000031" + "0100000065"
            + "020000002f6f" + "0100000000000000" + "0200000000000000" + "01" + "01" + "00000100" + "00"
        let frame = ShimRequest.start(request).frame
        let body = Array(frame.dropFirst(ShimFrame.headerSize))
        #expect(hex(frame[4..<6]) == "0300")
        #expect(hex(body.prefix(fields.utf8.count / 2)) == fields)
        guard case .start(let decoded) = try ShimMessageTests.decode(frame) else {
            Issue.record("no start")
            return
        }
        #expect(decoded.plan == [])
        #expect(Array(body[decoded.planRange]) == request.plan)
        #expect(decoded.token == request.token)
        #expect(decoded.cgroup == request.cgroup)
        #expect(decoded.output == request.output)
        #expect(decoded.idBase == 65_536)
        #expect(try SandboxPlan(decoding: body[decoded.planRange]).environment == ["SECRET=1"])
    }

    @Test("a frame over the limit is refused before its body is read") func limit() throws {
        func header(_ length: UInt32) -> [UInt8] {
            var writer = ByteWriter()
            writer.write(length)
            writer.write(UInt16(8))
            return writer.bytes
        }
        let limit = UInt32(ShimRequest.frameLimit)
        #expect(try ShimFrame.decode(header: header(limit)).count == ShimRequest.frameLimit - 2)
        for length in [0, 1, limit + 1, .max] {
            #expect(throws: MalformedMessage.self) { try ShimFrame.decode(header: header(length)) }
        }
        #expect(throws: MalformedMessage.self) { try ShimFrame.decode(header: Array(header(2).dropLast())) }
    }

    @Test("a message cut short or with something behind it is refused") func lengths() {
        let frames = ShimMessageTests.requests.map(\.0.frame) + [ShimRequest.start(ShimMessageTests.start).frame]
        for frame in frames {
            let number = UInt16(frame[4]) | UInt16(frame[5]) << 8
            let body = Array(frame.dropFirst(ShimFrame.headerSize))
            for count in 0..<body.count {
                #expect(throws: MalformedMessage.self) {
                    try ShimRequest(number: number, body: Array(body.prefix(count)))
                }
            }
            #expect(throws: MalformedMessage.self) { try ShimRequest(number: number, body: body + [0]) }
        }
        for event in ShimMessageTests.events.map(\.0) {
            let number = UInt16(event.frame[4]) | UInt16(event.frame[5]) << 8
            let body = Array(event.frame.dropFirst(ShimFrame.headerSize))
            for count in 0..<body.count {
                #expect(throws: MalformedMessage.self) {
                    try ShimEvent(number: number, body: Array(body.prefix(count)))
                }
            }
            #expect(throws: MalformedMessage.self) { try ShimEvent(number: number, body: body + [0]) }
        }
    }

    @Test("random and damaged messages are refused or understood, never a crash", arguments: 0..<4)
    func fuzz(_ seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let known =
            ShimMessageTests.requests.map(\.0.frame) + ShimMessageTests.events.map(\.0.frame)
            + [ShimRequest.start(ShimMessageTests.start).frame]
        var refused = 0
        for _ in 0..<4000 {
            var body: [UInt8]
            if random.next() % 2 == 0 {
                body = random.bytes(.random(in: 0...200, using: &random))
            } else {
                body = Array((known.randomElement(using: &random) ?? []).dropFirst(ShimFrame.headerSize))
                for _ in 0..<Int.random(in: 1...4, using: &random) where !body.isEmpty {
                    body[.random(in: 0..<body.count, using: &random)] = UInt8(truncatingIfNeeded: random.next())
                }
            }
            for number: UInt16 in Array(0...9) + Array(100...106) {
                do throws(MalformedMessage) {
                    if number < 100 {
                        let request = try ShimRequest(number: number, body: body)
                        if case .start(let start) = request {
                            // The range must lie in the body, whatever is in it.
                            _ = try? SandboxPlan(decoding: body[start.planRange])
                        }
                        _ = request.frame
                    } else {
                        _ = try ShimEvent(number: number, body: body).frame
                    }
                } catch {
                    refused += 1
                }
            }
            _ = try? SandboxPlan(decoding: body[...])
        }
        #expect(refused > 0)
    }

    @Test("an exit record has the bytes that the format says, and with any bit flipped it is none") func exitEntry() {
        let entry = ShimMessageTests.exit.entry
        #expect(hex(entry) == ShimMessageTests.exitBytes + "0000000000000000" + "7d553582")
        #expect(ExitRecord(entry: entry[...]) == ShimMessageTests.exit)
        for bit in 0..<ExitRecord.size * 8 {
            var bytes = entry
            bytes[bit / 8] ^= 1 << UInt8(bit % 8)
            #expect(ExitRecord(entry: bytes[...]) == nil)
        }
        #expect(ExitRecord(entry: entry.dropLast()) == nil)
    }
}
