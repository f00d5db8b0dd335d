import Foundation
import Storage
import TestSupport
import Testing

@testable import Engine

/// Control files as kernels write them, in a directory.
@Suite struct UsageReaderTests {
    @Test func `a group of the unified hierarchy is read whole`() throws {
        let group = try TemporaryDirectory()
        try write(UsageReaderTests.unified, in: group.path)
        let usage = UsageReader(.unified(group.path)).read()
        #expect(
            usage.values[.cpu] == [
                "cpu_usage_usec": 2_500_000, "cpu_user_usec": 2_000_000, "cpu_system_usec": 500_000,
                "cpu_nr_periods": 40, "cpu_nr_throttled": 10, "cpu_throttled_usec": 123_456,
                "cpu_pressure_some_avg10": 1.5, "cpu_pressure_some_avg60": 0.25, "cpu_pressure_some_avg300": 0,
                "cpu_pressure_full_avg10": 0.5, "cpu_pressure_full_avg60": 0, "cpu_pressure_full_avg300": 0,
            ])
        let memory = try #require(usage.values[.memory])
        #expect(memory["memory_current"] == 10_485_760)
        #expect(memory["memory_peak"] == 20_971_520)
        #expect(memory["memory_max"] == 41_943_040)
        #expect(memory["memory_rss"] == 4096)
        #expect(memory["memory_file"] == 8192)
        #expect(memory["memory_pgmajfault"] == 0)
        #expect(memory["memory_oom_events"] == 3)
        #expect(memory["memory_oom_kill"] == 2)
        #expect(memory["memory_pressure_full_avg300"] == 9.75)
        #expect(usage.values[.io]?["io_read_bytes"] == 3000)
        #expect(usage.values[.io]?["io_discard_ops"] == 6)
        #expect(usage.devices["8:0"]?["io_write_ops"] == 4)
        #expect(usage.devices["253:16"] == ["io_read_bytes": 2000])
        #expect(usage.values[.process]?["process_current"] == 5)
        // "max" is no number: there is no limit.
        #expect(usage.values[.process]?["process_max"] == nil)
        #expect(usage.values[.process]?["process_events"] == 7)
        let points = usage.points(since: nil)
        #expect(points.filter(\.labels.isEmpty).map(\.type) == [.cpu, .memory, .io, .process])
        #expect(points.filter { !$0.labels.isEmpty }.map(\.labels) == [["device": "253:16"], ["device": "8:0"]])
        #expect(points.first { $0.type == .memory }?.values["memory_percent"] == 25)
    }

    @Test func `groups of a controller each are read whole`() throws {
        let group = try TemporaryDirectory()
        try write(UsageReaderTests.legacy, in: group.path)
        let controllers = ["cpu", "cpuacct", "memory", "blkio", "pids"]
        let usage = UsageReader(
            .legacy(Dictionary(uniqueKeysWithValues: controllers.map { ($0, group.path) }))
        ).read()
        #expect(
            usage.values[.cpu] == [
                "cpu_usage_usec": 2_500_000, "cpu_user_usec": 2_000_000, "cpu_system_usec": 500_000,
                "cpu_nr_periods": 40, "cpu_nr_throttled": 10, "cpu_throttled_usec": 123.456,
            ])
        let memory = try #require(usage.values[.memory])
        #expect(memory["memory_current"] == 10_485_760)
        #expect(memory["memory_peak"] == 20_971_520)
        #expect(memory["memory_max"] == nil)
        #expect(memory["memory_rss"] == 4096)
        #expect(memory["memory_oom_kill"] == 2)
        #expect(usage.values[.io]?["io_read_bytes"] == 3000)
        #expect(usage.values[.io]?["io_write_bytes"] == 10)
        #expect(usage.values[.io]?["io_write_ops"] == 1)
        #expect(usage.devices["253:0"]?["io_read_bytes"] == 1000)
        #expect(usage.values[.process]?["process_current"] == 5)
    }

    @Test func `a host that tells nothing gives no values, rather than zeros`() throws {
        let group = try TemporaryDirectory()
        #expect(UsageReader(.unified(group.path + "/gone")).read().isEmpty)
        #expect(UsageReader(.none).read().values[.cpu] == nil)
        #expect(UsageReader(.legacy([:])).read().isEmpty)
        // One controller alone.
        try write(["pids.current": "2\n"], in: group.path)
        let usage = UsageReader(.legacy(["pids": group.path])).read()
        #expect(usage.values == [.process: ["process_current": 2]])
    }

    @Test func `files stay open, and what they say later is read`() throws {
        let group = try TemporaryDirectory()
        try write(["memory.current": "1\n", "memory.max": "max\n"], in: group.path)
        let reader = UsageReader(.unified(group.path))
        #expect(reader.read().values == [.memory: ["memory_current": 1]])
        #expect(try openFiles(below: group.path) == 2)
        try write(["memory.current": "22\n"], in: group.path)
        #expect(reader.read().values == [.memory: ["memory_current": 22]])
        reader.close()
        #expect(try openFiles(below: group.path) == 0)
        #expect(reader.read().values == [.memory: ["memory_current": 22]])
    }

    @Test func `rates are what counters grew by since the sample before`() {
        var (before, after) = (JobUsage.start(at: 1_000_000_000), JobUsage(time: 3_000_000_000))
        after[.cpu, "cpu_usage_usec"] = 3_000_000
        after[.cpu, "cpu_user_usec"] = 2_000_000
        after[.cpu, "cpu_system_usec"] = 1_000_000
        after[.cpu, "cpu_nr_periods"] = 20
        after[.cpu, "cpu_nr_throttled"] = 5
        after[.io, "io_read_bytes"] = 4096
        let cpu = after.points(since: before).first { $0.type == .cpu }?.values
        #expect(cpu?["cpu_percent"] == 150)
        #expect(cpu?["cpu_total"] == 150)
        #expect(cpu?["cpu_user"] == 100)
        #expect(cpu?["cpu_system"] == 50)
        #expect(cpu?["cpu_throttle_percent"] == 25)
        #expect(after.points(since: before).first { $0.type == .io }?.values["io_read_bps"] == 2048)
        // Without one before there is none, and a counter that fell has not grown.
        #expect(after.points(since: nil).allSatisfy { $0.values["cpu_percent"] == nil })
        before[.cpu, "cpu_usage_usec"] = 9_000_000
        #expect(after.points(since: before).first { $0.type == .cpu }?.values["cpu_percent"] == 0)
        // At one instant nothing has a rate.
        before.time = after.time
        #expect(after.points(since: before).allSatisfy { $0.values["cpu_percent"] == nil })
    }

    @Test(arguments: [
        ("1 (sh) S", "process_sleeping"), ("1 (a) b) R", "process_running"), ("1 () D", "process_sleeping"),
        ("1 (x) T", "process_stopped"), ("1 (x) t", "process_stopped"), ("1 (x) Z", "process_zombie"),
        ("1 (x) I", "process_sleeping"),
    ])
    func `a process is counted by its state, whatever its name`(_ beginning: String, _ name: String) throws {
        let rest = (4...52).map { "\($0)" }.joined(separator: " ")
        let stat = try #require(ProcessStat(text: "\(beginning) \(rest)\n"))
        #expect(stat.stateName == name)
        #expect(stat.threads == 20)
        #expect(stat.addressSpace == 23)
        #expect(ProcessStat(text: "1 (x) S 1 2") == nil)
        #expect(ProcessStat(text: "") == nil)
    }

    private func openFiles(below path: String) throws -> Int {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count { number in
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(number)")
            return target?.hasPrefix(path) ?? false
        }
    }

    private func write(_ files: [String: String], in directory: String) throws {
        for (name, text) in files {
            try Data(text.utf8).write(to: URL(fileURLWithPath: "\(directory)/\(name)"))
        }
    }

    private static let unified = [
        "cpu.stat": """
        usage_usec 2500000
        user_usec 2000000
        system_usec 500000
        nice_usec 0
        core_sched.force_idle_usec 0
        nr_periods 40
        nr_throttled 10
        throttled_usec 123456
        nr_bursts 0
        burst_usec 0

        """,
        "cpu.pressure": """
        some avg10=1.50 avg60=0.25 avg300=0.00 total=123
        full avg10=0.50 avg60=0.00 avg300=0.00 total=12

        """,
        "memory.current": "10485760\n", "memory.peak": "20971520\n", "memory.max": "41943040\n",
        "memory.stat": "anon 4096\nfile 8192\nkernel 500\nkernel_stack 16384\nslab 33\npgfault 77\npgmajfault 0\n",
        "memory.events": "low 0\nhigh 0\nmax 9\noom 3\noom_kill 2\noom_group_kill 0\n",
        "memory.pressure": "some avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"
            + "full avg10=0.00 avg60=0.00 avg300=9.75 total=0\n",
        "io.stat": "8:0 rbytes=1000 wbytes=10 rios=3 wios=4 dbytes=5 dios=6\n253:16 rbytes=2000\n7:0 \n",
        "pids.current": "5\n", "pids.max": "max\n", "pids.events": "max 7\n",
    ]

    private static let legacy = [
        "cpuacct.usage": "2500000000\n", "cpuacct.usage_user": "2000000000\n", "cpuacct.usage_sys": "500000000\n",
        "cpu.stat": "nr_periods 40\nnr_throttled 10\nthrottled_time 123456\n",
        "memory.usage_in_bytes": "10485760\n", "memory.max_usage_in_bytes": "20971520\n",
        "memory.limit_in_bytes": "9223372036854771712\n",
        "memory.stat": "cache 1\nrss 2\ntotal_cache 8192\ntotal_rss 4096\ntotal_pgfault 7\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        "blkio.throttle.io_service_bytes_recursive": """
        253:0 Read 1000
        253:0 Write 10
        253:0 Sync 1010
        253:0 Async 0
        253:0 Discard 0
        253:0 Total 1010
        8:0 Read 2000
        8:0 Total 2000
        Total 3010

        """,
        "blkio.throttle.io_serviced_recursive": "253:0 Read 3\n253:0 Write 1\n253:0 Total 4\nTotal 4\n",
        "pids.current": "5\n", "pids.max": "max\n", "pids.events": "max 0\n",
    ]
}
