import DaemonSupport
import Foundation
import GRPCCore
import JobletAPI
import SwiftProtobuf
import TestSupport
import Testing

extension DaemonTests {
    @Suite(.daemon()) struct JobLogTests {}
}

extension DaemonTests.JobLogTests {
    @Test func `a log is read while the job runs, to its end, and again afterwards`() async throws {
        try await SharedDaemon.current.connect { client in
            let job = try await client.shell("echo one; read x < /work/go; echo $x") { request in
                request.uploads = [
                    .with {
                        $0.path = "go"; $0.content = Data("two\n".utf8)
                    }
                ]
            }.jobUuid
            try await client.waitForOutput("one\n", of: job)
            let live = try await client.text(job)
            #expect(live == "one\ntwo\n")
            _ = try await client.end(of: job)
            #expect(try await client.text(job) == live)
            #expect(try await client.text(String(job.prefix(8))) == live)
        }
    }

    @Test func `without follow a log ends where it is, also while the job runs`() async throws {
        try await SharedDaemon.current.connect { client in
            let job = try await client.shell("echo one; exec sleep 100").jobUuid
            try await client.waitForOutput("one\n", of: job)
            #expect(try await client.text(job) { $0.follow = false } == "one\n")
            _ = try await client.jobs.stopJob(.with { $0.uuid = job })
        }
    }

    @Test func `a log is filtered by stream and by time, and read from any position`() async throws {
        try await SharedDaemon.current.connect { client in
            // Two pipes have one order only where each write was read before the next.
            let script = """
                mkfifo go; exec 3<>go; for i in 1 2 3 4; do echo out$i; read go <&3; echo err$i >&2; read go <&3; done
                """
            let job = try await client.shell(script) { $0.keepWork = true }.jobUuid
            for text in (1...4).flatMap({ ["out\($0)\n", "err\($0)\n"] }) {
                try await client.waitForOutput(text, of: job)
                try writeLine("go", toPipe: "\(try SharedDaemon.current.dataDirectory)/work/\(job)/go")
            }
            let all = try await client.chunks(job)
            let whole = all.reduce(into: Data()) { $0 += $1.payload }
            #expect(String(decoding: whole, as: UTF8.self) == (1...4).map { "out\($0)\nerr\($0)\n" }.joined())
            var position: UInt64 = 0
            for chunk in all {
                #expect(chunk.position == position)
                position += UInt64(chunk.payload.count)
            }
            #expect(all.map(\.timestamp) == all.map(\.timestamp).sorted())
            for stored in [false, true] {
                if stored { _ = try await client.end(of: job) }
                let out = try await client.text(job) { $0.streams = ["stdout"] }
                #expect(out == "out1\nout2\nout3\nout4\n")
                let err = try await client.chunks(job) { $0.streams = ["stderr"] }
                #expect(err.allSatisfy { $0.stream == 2 })
                #expect(err.reduce(into: Data()) { $0 += $1.payload } == Data("err1\nerr2\nerr3\nerr4\n".utf8))
                let both = try await client.log(job) { $0.streams = ["stderr", "stdout"] }
                #expect(both == whole)
                for (index, chunk) in all.enumerated() {
                    let since = try await client.log(job) { $0.since = chunk.timestamp }
                    #expect(since == all[index...].reduce(into: Data()) { $0 += $1.payload })
                    let until = try await client.log(job) { $0.until = chunk.timestamp }
                    #expect(until == all[...index].reduce(into: Data()) { $0 += $1.payload })
                }
                for start in [0, 1, 4, 5, whole.count - 1, whole.count, whole.count + 1000] {
                    let rest = try await client.log(job) { $0.fromPosition = UInt64(start) }
                    #expect(rest == whole.dropFirst(start))
                }
                for lines in [1, 2, 3, 8, 100] {
                    let tail = try await client.text(job) { $0.tail = Int32(lines) }
                    let expected = String(decoding: whole, as: UTF8.self).split(separator: "\n").suffix(lines)
                    #expect(tail == expected.map { "\($0)\n" }.joined())
                }
            }
        }
    }

    @Test func `a position behind everything waits for what comes`() async throws {
        try await SharedDaemon.current.connect { client in
            let job = try await client.shell("echo one; sleep 0.2; echo two").jobUuid
            #expect(try await client.text(job) { $0.fromPosition = 4 } == "two\n")
            #expect(try await client.text(job) { $0.fromPosition = 6 } == "o\n")
        }
    }

    @Test func `the tail of a running job is followed`() async throws {
        try await SharedDaemon.current.connect { client in
            let script = "mkfifo go; echo one; echo two; read go < go; echo three"
            let job = try await client.shell(script) { $0.keepWork = true }.jobUuid
            try await client.waitForOutput("two\n", of: job)
            let request = Joblet_GetJobLogsReq.with {
                $0.uuid = job; $0.tail = 1
            }
            let pipe = "\(try SharedDaemon.current.dataDirectory)/work/\(job)/go"
            let text = try await client.jobs.getJobLogs(request) { response in
                var text = ""
                for try await chunk in response.messages {
                    text += String(decoding: chunk.payload, as: UTF8.self)
                    if text == "two\n" { try writeLine("go", toPipe: pipe) }
                }
                return text
            }
            #expect(text == "two\nthree\n")
        }
    }

    @Test func `a log up to a time that is over ends, whether the job runs or not`() async throws {
        try await SharedDaemon.current.connect { client in
            let job = try await client.shell("echo one; exec sleep 1000").jobUuid
            try await client.waitForOutput("one\n", of: job)
            let now = Int64(Date().timeIntervalSince1970 * 1e9)
            #expect(try await client.text(job) { $0.until = now } == "one\n")
            _ = try await client.jobs.stopJob(.with { $0.uuid = job })
        }
    }

    @Test func `a query that makes no sense is refused`() async throws {
        try await SharedDaemon.current.connect { client in
            let job = try await client.run("true").jobUuid
            await expectRefusal(.invalidArgument, "streams must be stdout or stderr, not 'stdin'") {
                try await client.log(job) { $0.streams = ["stdin"] }
            }
            for configure: (inout Joblet_GetJobLogsReq) -> Void in [
                { $0.tail = -1 }, { $0.since = -1 }, { $0.until = -1 },
            ] {
                await expectRefusal(.invalidArgument, "since, until and tail cannot be negative") {
                    try await client.log(job, configure: configure)
                }
            }
            await expectRefusal(.invalidArgument, "grep must be a text without a newline") {
                try await client.log(job) { $0.grep = "a\nb" }
            }
        }
    }

    @Test func `a text filter sends the lines that contain the text, of a running job and of the past`() async throws {
        try await SharedDaemon.current.connect { client in
            let job = try await client.shell("echo first apple; echo pear; echo second apple; exec sleep 1000").jobUuid
            try await client.waitForOutput("second apple\n", of: job)
            func matching() async throws -> String {
                try await client.text(job) { request in
                    request.grep = "apple"
                    request.follow = false
                }
            }
            #expect(try await matching() == "first apple\nsecond apple\n")
            _ = try await client.jobs.stopJob(.with { $0.uuid = job })
            _ = try await client.end(of: job)
            #expect(try await matching() == "first apple\nsecond apple\n")
        }
    }

    @Test(
        "a log without output is empty",
        arguments: ["true", "exec >&- 2>&-; sleep 0.05", "exec >/dev/null 2>&1; echo x"])
    func empty(script: String) async throws {
        try await SharedDaemon.current.connect { client in
            let job = try await client.shell(script).jobUuid
            #expect(try await client.log(job).isEmpty)
            #expect(try await client.end(of: job).status == "COMPLETED")
            #expect(try await client.log(job).isEmpty)
        }
    }

    @Test func `random bytes on both streams come back as they were`() async throws {
        try await SharedDaemon.current.connect { client in
            var generator = SeededGenerator(seed: 20)
            let (out, err) = (Data(generator.bytes(3_000_000)), Data(generator.bytes(2_000_001)))
            let job = try await client.shell("cat out & cat err >&2; wait") { request in
                request.uploads = [
                    .with {
                        $0.path = "out"; $0.content = out
                    },
                    .with {
                        $0.path = "err"; $0.content = err
                    },
                ]
            }.jobUuid
            let live = try await client.chunks(job)
            _ = try await client.end(of: job)
            let stored = try await client.chunks(job)
            for chunks in [live, stored] {
                var position: UInt64 = 0
                var streams: [Int32: Data] = [:]
                for chunk in chunks {
                    #expect(chunk.position == position)
                    position += UInt64(chunk.payload.count)
                    streams[chunk.stream, default: Data()] += chunk.payload
                }
                #expect(streams[1] == out)
                #expect(streams[2] == err)
            }
            let joined = stored.reduce(into: Data()) { $0 += $1.payload }
            #expect(live.reduce(into: Data()) { $0 += $1.payload } == joined)
        }
    }

    @Test func `100 MB without a newline are one log`() async throws {
        try await SharedDaemon.current.connect { client in
            let job = try await client.shell("head -c 100000000 /dev/zero | tr '\\0' x").jobUuid
            let request = Joblet_GetJobLogsReq.with { $0.uuid = job }
            let (count, isPure) = try await client.jobs.getJobLogs(request) { response in
                var count = 0
                var isPure = true
                for try await chunk in response.messages {
                    count += chunk.payload.count
                    isPure = isPure && chunk.payload == Data(repeating: UInt8(ascii: "x"), count: chunk.payload.count)
                }
                return (count, isPure)
            }
            #expect(count == 100_000_000)
            #expect(isPure)
        }
    }

    @Test func `a child that outlives the job's first process does not outlive the job`() async throws {
        try await SharedDaemon.current.connect { client in
            let script = """
                mkfifo up; setsid sh -c 'echo child; echo > up; exec sleep 1000' & read up < up; echo parent
                """
            let job = try await client.shell(script).jobUuid
            let lines = try await client.text(job).split(separator: "\n").sorted()
            #expect(lines == ["child", "parent"])
            #expect(try await client.end(of: job).status == "COMPLETED")
        }
    }
}

extension DaemonTests {
    @Suite(.daemon()) struct LogViewerTests {}
}

extension DaemonTests.LogViewerTests {
    @Test func `twenty viewers get the same bytes`() async throws {
        let daemon = try SharedDaemon.current
        try await daemon.connect { client in
            let job = try await client.shell("i=0; while [ $i -lt 20000 ]; do echo line $i; i=$((i+1)); done").jobUuid
            let expected = Data((0..<20000).map { "line \($0)\n" }.joined().utf8)
            try await withThrowingTaskGroup(of: Data.self) { group in
                for _ in 0..<20 {
                    group.addTask { try await daemon.connect(as: .viewer) { try await $0.log(job) } }
                }
                for try await log in group { #expect(log == expected) }
            }
            #expect(try await client.log(job) == expected)
        }
    }

    @Test func `a viewer that stalls stops nobody and misses nothing`() async throws {
        let daemon = try SharedDaemon.current
        try await daemon.connect { client in
            let bytes = 30_000_000
            let script = "seq -f '%099.0f' 0 \(bytes / 100 - 1)"
            let job = try await client.shell(script) { $0.maxCpu = allProcessors }.jobUuid
            let (goOn, release) = AsyncStream<Void>.makeStream()
            try await withThrowingTaskGroup(of: LineCheck.self) { group in
                group.addTask {
                    try await daemon.connect(as: .viewer) { viewer in
                        try await viewer.jobs.getJobLogs(.with { $0.uuid = job }) { response in
                            var check = LineCheck()
                            for try await chunk in response.messages {
                                if check.count == 0 { for await _ in goOn {} }
                                check.add(chunk.payload)
                            }
                            return check
                        }
                    }
                }
                let other = try await client.jobs.getJobLogs(.with { $0.uuid = job }) { response in
                    var check = LineCheck()
                    for try await chunk in response.messages { check.add(chunk.payload) }
                    return check
                }
                #expect(other.count == bytes)
                #expect(other.isRight)
                #expect(try await client.end(of: job).status == "COMPLETED")
                release.finish()
                for try await stalled in group { #expect(stalled == other) }
            }
        }
    }

    @Test func `viewers that leave cost the daemon nothing`() async throws {
        let daemon = try SharedDaemon.current
        let process = try #require(daemon.process)
        try await daemon.connect { client in
            let job = try await client.shell("echo here; exec sleep 1000").jobUuid
            try await client.waitForOutput("here\n", of: job)
            let before = names(in: "/proc/\(process.pid)/fd").count
            let connections = 20
            for _ in 0..<connections {
                try await daemon.connect(as: .viewer) { viewer in
                    for _ in 0..<5 { try await viewer.waitForOutput("here\n", of: job) }
                }
            }
            // The store may have opened the job's files meanwhile: a leak is one descriptor a connection or more.
            #expect(await holds { names(in: "/proc/\(process.pid)/fd").count < before + connections })
            let stopped = try await client.jobs.stopJob(.with { $0.uuid = job })
            #expect(stopped.status == "STOPPED")
        }
    }
}

/// Checks that a log consists of numbers with 99 digits, one after another, a line each.
struct LineCheck: Equatable, Sendable {
    private(set) var count = 0
    private(set) var isRight = true
    private var next = 0
    private var rest = Data()

    mutating func add(_ bytes: Data) {
        count += bytes.count
        rest += bytes
        let whole = rest.count / 100 * 100
        rest.prefix(whole).withUnsafeBytes { lines in
            for start in stride(from: 0, to: whole, by: 100) {
                var number = 0
                for digit in lines[start + 80..<start + 99] { number = number * 10 + Int(digit) - 48 }
                isRight = isRight && number == next && lines[start + 99] == UInt8(ascii: "\n")
                next += 1
            }
        }
        rest = Data(rest.dropFirst(whole))
    }
}

extension DaemonTests {
    @Suite struct LogVolumeTests {
        @Test func `a million lines of one write each are complete and in order, live and stored`() async throws {
            let lines = 1_000_000
            var expected = Data(capacity: 7 * lines)
            for line in 1...lines { expected += Data("\(line)\n".utf8) }
            try await DaemonProcess.run { daemon in
                try await daemon.connect { client in
                    let program = "BEGIN { for (i = 1; i <= \(lines); i++) { print i; fflush() } }"
                    let job = try await client.run("awk", program) { $0.maxCpu = allProcessors }.jobUuid
                    #expect(try await client.log(job) == expected)
                    #expect(try await client.end(of: job).status == "COMPLETED")
                    #expect(await holds { names(in: "\(daemon.dataDirectory)/outbox").isEmpty })
                    #expect(try await client.log(job) == expected)
                    #expect(try await client.text(job) { $0.tail = 2 } == "\(lines - 1)\n\(lines)\n")
                }
            }
        }
    }

    @Test func `a host without a free inotify watch delays a log and loses nothing`() async throws {
        let daemon = try DaemonProcess()
        do {
            try await daemon.start(failPoint: "watcher.beforeWatch=errno:28@all")
            try await daemon.connect { client in
                let job = try await client.shell("echo one; exec sleep 100").jobUuid
                try await client.waitForOutput("one\n", of: job)
                _ = try await client.jobs.stopJob(.with { $0.uuid = job })
                _ = try await client.end(of: job)
                // It goes once the store has everything.
                #expect(eventually { daemon.entries("outbox").isEmpty })
                #expect(try await client.text(job) == "one\n")
            }
            #expect(daemon.output.contains("the host has no inotify watch left"))
            await daemon.end()
        } catch {
            await daemon.end()
            throw error
        }
    }
}
