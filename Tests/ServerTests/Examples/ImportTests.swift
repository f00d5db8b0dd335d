import DaemonSupport
import Foundation
import Testing

extension DaemonTests {
    /// What was moved here from the original.
    @Suite struct ImportTests {
        @Test func `imported output and samples are asked for with rnx, and deleted`() async throws {
            let daemon = try await DaemonProcess.start()
            do {
                // The stores belong to the daemon while it runs.
                #expect(await daemon.stop(SIGTERM) == 0)
                let job = UUID().uuidString.lowercased()
                let importer = try Terminal()
                let now = Int(Date().timeIntervalSince1970)
                try importer.write(
                    "stdout",
                    (0..<2).map { line in
                        let content = Data("line \(line)\n".utf8).base64EncodedString()
                        return "{\"job_id\":\"\(job)\",\"stream\":1,\"timestamp\":\(now - 10 + line)000000000,"
                            + "\"content\":\"\(content)\"}\n"
                    }.joined())
                try importer.write(
                    "metrics",
                    "{\"job_id\":\"\(job)\",\"timestamp\":\(now),\"data\":{\"cpu_usage\":1.5,\"memory_usage\":4096}}\n")
                let imported = try await importer.type(
                    """
                    mkdir -p original/\(job) && gzip -c stdout >original/\(job)/stdout.log.gz &&
                    gzip -c metrics >original/\(job)/metrics.jsonl.gz &&
                    persist storage import original --config \(daemon.configurationPath)
                    """)
                #expect(imported.output.contains("logs: 1 job, 14 B\nmetrics: 1 job, 1 sample\n"), "\(imported)")
                try await daemon.start()

                let terminal = try Terminal(daemon)
                for id in [job, String(job.prefix(10))] {
                    expect(try await terminal.type("rnx job log \(id)"), output: "line 0\nline 1\n")
                    expect(try await terminal.type("rnx job log \(id) --follow --grep 1"), output: "line 1\n")
                    let samples = try await terminal.type("rnx --json job metrics \(id) | jq -c .memory.current")
                    expect(samples, output: "4096\n")
                }
                // Nothing is known of the job itself.
                let status = try await terminal.type("rnx job status \(job)")
                #expect(status.status == 1 && status.errors.contains("job not found: \(job)"), "\(status)")
                let list = try await terminal.type("rnx --json job list")
                #expect(list.output == "[]\n", "\(list)")
                let deleted = try await terminal.type("rnx job delete \(job.prefix(10))")
                #expect(deleted.status == 0, "\(deleted)")
                for command in ["log", "metrics", "delete"] {
                    let printed = try await terminal.type("rnx job \(command) \(job)")
                    #expect(printed.status == 1 && printed.errors.contains("job not found: \(job)"), "\(printed)")
                }
                await daemon.end()
            } catch {
                await daemon.end()
                throw error
            }
        }
    }
}
