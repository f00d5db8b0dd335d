import Glibc
import Kernel
import Outbox
import Sandbox
import TestSupport
import Testing

import class Foundation.Thread

@Suite(.serialized)
struct PumpTests {
    private static func noise(_ seed: UInt64, _ count: Int) -> [UInt8] {
        var random = SeededGenerator(seed: seed)
        return random.bytes(count)
    }

    @Test("both streams arrive byte by byte, and the log ends with their ends") func streams() throws {
        let pump = try PumpUnderTest()
        let speaker = try Speaker(1)
        let (out, err) = (PumpTests.noise(1, 3_000_000), PumpTests.noise(2, 2_000_000))
        try pump.add(speaker.job, pump.plan(segmentBytes: 300_000), speaker.stdout, speaker.stderr)
        speaker.sayAll(stdout: out, stderr: err)
        let (job, position) = try pump.nextDrained()
        #expect(job == speaker.job)
        #expect(position == 5_000_000)
        let contents = try OutboxContents(root: pump.root, job: job)
        #expect(contents.bytes[.stdout] == out)
        #expect(contents.bytes[.stderr] == err)
        #expect(contents.isAtEnd)
    }

    @Test("what was said first comes first", arguments: [Outbox.OutputStream.stdout, .stderr], [false, true])
    func order(_ first: Outbox.OutputStream, isKnown: Bool) throws {
        let last: Outbox.OutputStream = first == .stdout ? .stderr : .stdout
        let pump = try PumpUnderTest()
        // A dictionary's order differs from run to run; several jobs make its effect likely.
        for number in 1...20 as ClosedRange<UInt64> {
            let speaker = try Speaker(number)
            func add() throws { try pump.add(speaker.job, pump.plan(), speaker.stdout, speaker.stderr) }
            if isKnown {
                // A pump that has just moved something lets what comes next gather, on both streams.
                try add()
                try speaker.say(first, [0])
                #expect(
                    try eventually {
                        try OutboxContents(root: pump.root, job: speaker.job).bytes[first] == [0]
                    })
            }
            try speaker.say(first, [1])
            try speaker.say(last, [2])
            // Of two pipes that are readable when the pump learns of them, it can only take standard output first.
            if !isKnown { try add() }
            try pump.finish(speaker.job)
            _ = try pump.nextDrained()
            let contents = try OutboxContents(root: pump.root, job: speaker.job)
            #expect(contents.order.suffix(2) == (isKnown ? [first, last] : [.stdout, .stderr]))
        }
    }

    @Test("packets that are no messages are survived", arguments: 0..<2)
    func garbage(_ seed: UInt64) throws {
        let pump = try PumpUnderTest()
        var random = SeededGenerator(seed: seed)
        for _ in 0..<100 {
            let kind = UInt8.random(in: 1...9, using: &random)
            try pump.send([kind] + random.bytes(.random(in: 0..<60, using: &random)))
        }
        // A job without its pipes.
        var writer = ByteWriter()
        writer.write(UInt8(1))
        for _ in 0..<2 { writer.write(UInt64(7)) }
        writer.write(pump.root)
        for _ in 0..<2 { writer.write(UInt64(1 << 20)) }
        writer.write(UInt16(0))
        try pump.send(writer.bytes)
        let speaker = try Speaker(1)
        try pump.add(speaker.job, pump.plan(), speaker.stdout, speaker.stderr)
        speaker.sayAll(stdout: [1], stderr: [2])
        #expect(try pump.nextDrained().position == 2)
    }

    @Test("a stream that a job closed costs nothing while the other goes on") func closedStream() throws {
        let pump = try PumpUnderTest()
        let speaker = try Speaker(1)
        try pump.add(speaker.job, pump.plan(), speaker.stdout, speaker.stderr)
        try speaker.say(.stdout, [1, 2, 3])
        speaker.close(.stdout)
        try speaker.say(.stderr, [4])
        let seen = try eventually {
            try OutboxContents(root: pump.root, job: speaker.job).bytes.values.joined().count == 4
        }
        #expect(seen)
        // How much an idle pump works in half a second, which is nothing; a busy one works all of it.
        let before = try pump.processorTime()
        poll(nil, 0, 500)
        #expect(try pump.processorTime() - before < 100_000_000)
        try speaker.say(.stderr, [5])
        speaker.close(.stderr)
        #expect(try pump.nextDrained().position == 5)
    }

    @Test("single bytes on alternating streams make a small index, alone and beside a flood", arguments: [false, true])
    func indexSize(_ withFlood: Bool) throws {
        let pump = try PumpUnderTest()
        let flood = try Speaker(2)
        if withFlood {
            try pump.add(flood.job, pump.plan(), flood.stdout, flood.stderr)
            flood.sayAll(stdout: [UInt8](repeating: 0, count: 200_000_000), stderr: [])
        }
        let speaker = try Speaker(1)
        try pump.add(speaker.job, pump.plan(), speaker.stdout, speaker.stderr)
        let begin = SystemClock.sinceBoot()
        for _ in 0..<100_000 {
            try speaker.say(.stdout, [1])
            try speaker.say(.stderr, [2])
        }
        let milliseconds = Int(SystemClock.sinceBoot() - begin) / 1_000_000
        speaker.close(.stdout)
        speaker.close(.stderr)
        while try pump.nextDrained().job != speaker.job {}
        let contents = try OutboxContents(root: pump.root, job: speaker.job)
        #expect(contents.bytes[.stdout]?.count == 100_000)
        #expect(contents.bytes[.stderr]?.count == 100_000)
        let entries = (OutboxUsage.bytes(root: pump.root, job: speaker.job) - 200_000) / IndexRecord.size
        // One entry a stream and millisecond, however often the job writes.
        #expect(entries <= 2 * milliseconds + 200, "\(entries) entries in \(milliseconds) ms")
    }

    @Test("8-byte writes make an index far smaller than the data") func smallWrites() throws {
        let pump = try PumpUnderTest()
        let speaker = try Speaker(1)
        try pump.add(speaker.job, pump.plan(), speaker.stdout, speaker.stderr)
        let begin = SystemClock.sinceBoot()
        for number in 0..<200_000 { try speaker.say(.stdout, Array("\(10_000_000 + number)".utf8)) }
        let milliseconds = Int(SystemClock.sinceBoot() - begin) / 1_000_000
        speaker.close(.stdout)
        speaker.close(.stderr)
        #expect(try pump.nextDrained().position == 1_600_000)
        let entries = (OutboxUsage.bytes(root: pump.root, job: speaker.job) - 1_600_000) / IndexRecord.size
        #expect(entries <= milliseconds + 200, "\(entries) entries in \(milliseconds) ms")
    }

    // MARK: Limits

    @Test("a job at its limit waits, and goes on as segments are released", arguments: [100_000, 1 << 20] as [UInt64])
    func block(_ segmentBytes: UInt64) throws {
        let pump = try PumpUnderTest()
        let speaker = try Speaker(1)
        let (out, err) = (PumpTests.noise(3, 4_000_000), PumpTests.noise(4, 1_000_000))
        // The limit is below a whole segment in one case: what is open must become releasable.
        try pump.add(
            speaker.job, pump.plan(segmentBytes: segmentBytes, jobBytes: 600_000), speaker.stdout, speaker.stderr)
        speaker.sayAll(stdout: out, stderr: err)
        let files = SegmentFiles(root: pump.root, job: speaker.job)
        let appeared = try eventually { try !files.numbers().isEmpty }
        #expect(appeared)
        let reader = try #require(try OutboxReader(root: pump.root, job: speaker.job))
        var contents = OutboxContents()
        var largest = 0
        let ended = try eventually {
            largest = max(largest, OutboxUsage.bytes(root: pump.root, job: speaker.job))
            try contents.follow(reader)
            for number in try files.numbers() where number < reader.segment {
                try files.remove(number)
                try pump.released(speaker.job)
            }
            return contents.isAtEnd
        }
        #expect(ended)
        #expect(contents.bytes[.stdout] == out)
        #expect(contents.bytes[.stderr] == err)
        #expect(largest < 600_000 + 2 * OutboxWriter.moveLimit)
        #expect(try pump.nextDrained().position == 5_000_000)
    }

    @Test("bytes dropped at a limit are noted: what is recorded and what is noted is what was said")
    func drop() throws {
        let pump = try PumpUnderTest()
        let speaker = try Speaker(1)
        let (out, err) = (PumpTests.noise(5, 5_000_000), PumpTests.noise(6, 3_000_000))
        try pump.add(
            speaker.job, pump.plan(segmentBytes: 100_000, jobBytes: 300_000, drops: true),
            speaker.stdout, speaker.stderr)
        speaker.sayAll(stdout: out, stderr: err)
        let files = SegmentFiles(root: pump.root, job: speaker.job)
        let appeared = try eventually { try !files.numbers().isEmpty }
        #expect(appeared)
        let reader = try #require(try OutboxReader(root: pump.root, job: speaker.job))
        var contents = OutboxContents()
        var rounds = 0
        let ended = try eventually {
            try contents.follow(reader)
            rounds += 1
            // Room appears now and then, so that data and notes alternate.
            if rounds % 5 == 0 {
                for number in try files.numbers() where number < reader.segment { try files.remove(number) }
                try pump.released(speaker.job)
            }
            return contents.isAtEnd
        }
        #expect(ended)
        for (stream, said) in [(Outbox.OutputStream.stdout, out), (.stderr, err)] {
            let recorded = contents.bytes[stream, default: []]
            #expect(recorded.count + Int(contents.dropped[stream, default: 0]) == said.count)
        }
        #expect(contents.dropped.values.reduce(0, +) > 0)
    }

    @Test("a note of dropped bytes appears though the job has gone quiet") func quietDrop() throws {
        let pump = try PumpUnderTest()
        let speaker = try Speaker(1)
        try pump.add(speaker.job, pump.plan(jobBytes: 10, drops: true), speaker.stdout, speaker.stderr)
        try speaker.say(.stdout, [1, 2, 3])
        let noted = try eventually { try OutboxContents(root: pump.root, job: speaker.job).dropped[.stdout] == 3 }
        #expect(noted)
    }

    @Test("near the node's limit the largest job stops, and a small one goes on") func node() throws {
        let pump = try PumpUnderTest()
        let (large, small) = (try Speaker(1), try Speaker(2))
        try pump.configure(nodeBytes: 8_000_000)
        try pump.add(small.job, pump.plan(), small.stdout, small.stderr)
        try pump.add(large.job, pump.plan(), large.stdout, large.stderr)
        let said = PumpTests.noise(7, 12_000_000)
        large.sayAll(stdout: said, stderr: [])
        let isFull = eventually { OutboxUsage.bytes(root: pump.root, job: large.job) >= 6_990_000 }
        #expect(isFull)
        small.sayAll(stdout: PumpTests.noise(8, 500_000), stderr: [])
        let (job, position) = try pump.nextDrained()
        #expect(job == small.job)
        #expect(position == 500_000)
        #expect(OutboxUsage.bytes(root: pump.root, job: large.job) < 8_000_000 + OutboxWriter.moveLimit)
        // Everything of both is released as a store takes it, the ended job's too.
        try SegmentFiles(root: pump.root, job: small.job).removeAll()
        try pump.released(small.job)
        let files = SegmentFiles(root: pump.root, job: large.job)
        let reader = try #require(try OutboxReader(root: pump.root, job: large.job))
        var contents = OutboxContents()
        let ended = try eventually {
            try contents.follow(reader)
            for number in try files.numbers() where number < reader.segment {
                try files.remove(number)
                try pump.released(large.job)
            }
            return contents.isAtEnd
        }
        #expect(ended)
        #expect(contents.bytes[.stdout] == said)
    }

    @Test("many jobs in their first segments do not fill the node for ever") func manyOpenSegments() throws {
        let pump = try PumpUnderTest()
        try pump.configure(nodeBytes: 2_000_000)
        var speakers: [Speaker] = []
        for number in 1...12 as ClosedRange<UInt64> {
            let speaker = try Speaker(number)
            try pump.add(speaker.job, pump.plan(segmentBytes: 64 << 20), speaker.stdout, speaker.stderr)
            speaker.sayAll(stdout: PumpTests.noise(number, 500_000), stderr: [])
            speakers.append(speaker)
        }
        var left = Set(speakers.map(\.job))
        let ended = try eventually {
            for job in left {
                let files = SegmentFiles(root: pump.root, job: job)
                for number in try files.numbers().dropLast() { try files.remove(number) }
                try pump.released(job)
                if let reader = try OutboxReader(root: pump.root, job: job) {
                    var contents = OutboxContents()
                    do {
                        try contents.follow(reader)
                    } catch OutboxReader.Failure.released {
                        continue
                    }
                    if contents.isAtEnd {
                        #expect(reader.position == 500_000)
                        left.remove(job)
                        try files.removeAll()
                        try pump.released(job)
                    }
                }
            }
            return left.isEmpty
        }
        #expect(ended)
    }

    // MARK: Ends

    @Test("a finished job's log ends though others hold its pipes open, also if it had to wait for room first")
    func survivors() throws {
        let pump = try PumpUnderTest()
        let speaker = try Speaker(1)
        try pump.add(speaker.job, pump.plan(jobBytes: 200_000), speaker.stdout, speaker.stderr)
        let said = PumpTests.noise(9, 900_000)
        try speaker.say(.stdout, said)
        let files = SegmentFiles(root: pump.root, job: speaker.job)
        let isFull = eventually { OutboxUsage.bytes(root: pump.root, job: speaker.job) >= 200_000 }
        #expect(isFull)
        // Its processes are gone, its pipes are not: the speaker keeps them.
        try pump.finish(speaker.job)
        let reader = try #require(try OutboxReader(root: pump.root, job: speaker.job))
        var contents = OutboxContents()
        let ended = try eventually {
            try contents.follow(reader)
            for number in try files.numbers() where number < reader.segment {
                try files.remove(number)
                try pump.released(speaker.job)
            }
            return contents.isAtEnd
        }
        #expect(ended)
        #expect(contents.bytes[.stdout] == said)
        #expect(try pump.nextDrained().position == 900_000)
        try speaker.say(.stdout, [1])
    }

    @Test("a pump without a shim drains every pipe to its end, also past a limit, and exits") func orphan() throws {
        let pump = try PumpUnderTest()
        let (first, second) = (try Speaker(1), try Speaker(2))
        try pump.add(first.job, pump.plan(), first.stdout, first.stderr)
        try pump.add(second.job, pump.plan(jobBytes: 100_000), second.stdout, second.stderr)
        let said = PumpTests.noise(10, 800_000)
        first.sayAll(stdout: said, stderr: said)
        second.sayAll(stdout: said, stderr: [])
        let isFull = eventually { OutboxUsage.bytes(root: pump.root, job: second.job) >= 100_000 }
        #expect(isFull)
        pump.abandon()
        let files = SegmentFiles(root: pump.root, job: second.job)
        let reader = try #require(try OutboxReader(root: pump.root, job: second.job))
        var contents = OutboxContents()
        let ended = try eventually {
            try contents.follow(reader)
            for number in try files.numbers() where number < reader.segment { try files.remove(number) }
            return contents.isAtEnd
        }
        #expect(ended)
        #expect(contents.bytes[.stdout] == said)
        #expect(try pump.waitForEnd())
        let other = try OutboxContents(root: pump.root, job: first.job)
        #expect(other.isAtEnd)
        #expect(other.bytes[.stdout] == said)
        #expect(other.bytes[.stderr] == said)
    }

    @Test("a job whose outbox was removed holds up nothing, with a shim and without", arguments: [false, true])
    func removed(_ isOrphan: Bool) throws {
        let pump = try PumpUnderTest()
        let speaker = try Speaker(1)
        try pump.add(speaker.job, pump.plan(), speaker.stdout, speaker.stderr)
        let files = SegmentFiles(root: pump.root, job: speaker.job)
        let appeared = try eventually { try !files.numbers().isEmpty }
        #expect(appeared)
        try files.removeAll()
        if isOrphan { pump.abandon() }
        try speaker.say(.stdout, [1, 2, 3])
        if isOrphan {
            #expect(try pump.waitForEnd())
        } else {
            #expect(try pump.nextDrained().job == speaker.job)
        }
        #expect(try files.numbers() == [])
    }

    // MARK: A disk that refuses

    /// Every place at which a file is touched.
    static let diskPlaces = [
        "outbox.beforeUnlinkData", "outbox.afterUnlinkData", "pump.beforeHeader", "pump.beforeRename",
        "pump.afterRename", "pump.beforeSplice", "pump.afterSplice", "pump.beforeIndex", "pump.afterIndex",
        "pump.beforeEnd", "pump.afterEnd",
    ]

    @Test("an error of the disk at any place loses no byte", arguments: diskPlaces, [ENOSPC, EIO])
    func diskErrors(_ place: String, _ code: Int32) throws {
        for passing in place.hasSuffix("End") ? [1] : [1, 4] {
            let pump = try PumpUnderTest(failPoint: "\(place)=errno:\(code)@\(passing)")
            let speaker = try Speaker(1)
            let (out, err) = (PumpTests.noise(11, 700_000), PumpTests.noise(12, 600_000))
            try pump.add(speaker.job, pump.plan(segmentBytes: 200_000), speaker.stdout, speaker.stderr)
            speaker.sayAll(stdout: out, stderr: err)
            #expect(try pump.nextDrained().position == 1_300_000)
            let contents = try OutboxContents(root: pump.root, job: speaker.job)
            #expect(contents.bytes[.stdout] == out)
            #expect(contents.bytes[.stderr] == err)
            #expect(contents.isAtEnd)
        }
    }
}
