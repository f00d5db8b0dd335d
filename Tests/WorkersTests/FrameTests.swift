import FoundationEssentials
import JobletAPI
import NIOCore
import Storage
import StorageConformance
import SwiftProtobuf
import TestSupport
import Testing

@testable import Server

/// The outer form of what is said, and whatever else arrives.
@Suite struct FrameTests {
    private func frame(_ id: UInt64, _ call: WorkerLink.Call) -> Joblet_Ipc_Frame {
        .with { frame in
            frame.request = .with { request in
                request.id = id
                request.call = call
            }
        }
    }

    @Test func `a frame is its length in four bytes, most significant first, and a message`() throws {
        let frame = frame(1, .check(.init()))
        var buffer = try Frames.encode(frame)
        let bytes = Array(buffer.readableBytesView)
        // Field 4 (request) of 4 bytes: id 1, and field 2 (check) of none.
        #expect(hex(bytes) == "00000006" + "2204" + "0801" + "1200")
        let received = try Frames.next(from: &buffer, limit: 6)
        #expect(received?.frame == frame)
        #expect(received?.bytes == 6)
        #expect(try Frames.next(from: &buffer, limit: 6) == nil)
    }

    @Test func `frames are found however they were cut`() throws {
        var sample = SampleLog(seed: 1)
        let frames = sample.runs(20).map { frame(7, .appendLog(.init($0, job: .random()))) }
        var all = ByteBuffer()
        for frame in frames {
            var part = try Frames.encode(frame)
            all.writeBuffer(&part)
        }
        var generator = SeededGenerator(seed: 2)
        var buffer = ByteBuffer()
        var found: [Joblet_Ipc_Frame] = []
        while all.readableBytes > 0 {
            let count = min(all.readableBytes, Int.random(in: 1...300, using: &generator))
            if var part = all.readSlice(length: count) { buffer.writeBuffer(&part) }
            while let next = try Frames.next(from: &buffer, limit: 1 << 20) { found.append(next.frame) }
        }
        #expect(found == frames)
    }

    @Test func `a frame over the limit is refused before its bytes are there`() throws {
        var buffer = ByteBuffer(integer: UInt32(1001))
        #expect(throws: MalformedMessage.self) { try Frames.next(from: &buffer, limit: 1000) }
        var run = FragmentRun(start: 0)
        run.append(stream: .stdout, time: 1, bytes: [UInt8](repeating: 0, count: 2000))
        #expect(throws: MalformedMessage.self) {
            try Frames.encode(self.frame(1, .appendLog(.init(run, job: .random()))), limit: 2000)
        }
    }

    @Test(arguments: 0..<40) func `noise and damaged frames never end the program`(seed: UInt64) async throws {
        var generator = SeededGenerator(seed: seed)
        var sample = SampleLog(seed: seed)
        func job() -> JobID { JobID(high: generator.next(), low: generator.next()) }
        let dispatch = StoreDispatch(stores: WorkerStores(), frameLimit: 1 << 20)
        let calls: [WorkerLink.Call] = [
            .appendLog(.init(sample.run(fragments: 30), job: job())),
            .readLog(.with { $0.query = LogQuery(job: job(), since: 1).message }),
            .listRecords(JobQuery(statuses: [.running], created: 1...2).message(after: nil, limit: 1)),
            .putRecords(.with { $0.records = [Data(generator.bytes(20))] }),
            .appendMetrics(
                .with {
                    $0.samples = [
                        MetricSample(sequence: 1, time: 2, points: [MetricPoint(type: .cpu, values: ["a": 1])]).message
                    ]
                }),
            .syncLogs(.init([job(), job()])), .recordIds(.with { $0.prefix = "ab" }),
        ]
        for call in calls {
            let bytes = Array(try Frames.encode(frame(1, call)).readableBytesView)
            for _ in 0..<100 {
                var damaged = bytes
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    damaged[Int.random(in: 4..<damaged.count, using: &generator)] = UInt8(
                        truncatingIfNeeded: generator.next())
                }
                if Bool.random(using: &generator) { damaged = Array(damaged.prefix(damaged.count / 2)) }
                var buffer = ByteBuffer(bytes: damaged)
                guard let received = try? Frames.next(from: &buffer, limit: 1 << 20) else { continue }
                await exercise(received.frame, dispatch)
            }
        }
        for _ in 0..<200 {
            let body = generator.bytes(Int.random(in: 0...200, using: &generator))
            var buffer = ByteBuffer(integer: UInt32(body.count))
            buffer.writeBytes(body)
            if let received = try? Frames.next(from: &buffer, limit: 1 << 20) {
                await exercise(received.frame, dispatch)
            }
        }
    }

    /// Reads everything that a frame may hold, as both sides do.
    private func exercise(_ frame: Joblet_Ipc_Frame, _ dispatch: StoreDispatch) async {
        switch frame.body {
        case .request(let request):
            if case .appendLog(let message) = request.call { _ = try? message.run() }
            if case .putRecords(let message) = request.call { _ = try? message.list() }
            if case .appendMetrics(let message) = request.call { _ = try? [MetricSample](message.samples) }
            if case .listRecords(let message) = request.call { _ = try? JobQuery(message) }
            guard case .failure = await dispatch.answer(request.call) else {
                // Without stores only the check succeeds.
                if case .check = request.call { return }
                Issue.record("a call succeeded without a store: \(request)")
                return
            }
        case .reply(let reply):
            if case .logPage(let message) = reply.result { _ = try? LogPage(message) }
            if case .metricPage(let message) = reply.result { _ = try? MetricPage(message) }
            if case .positions(let message) = reply.result { _ = try? message.ends() }
            if case .records(let message) = reply.result { _ = try? message.list() }
        default: return
        }
    }
}
