import GRPCCore
import JobletAPI
import SwiftProtobuf
import Testing

@testable import rnx

/// The examples of the API reference, character by character.
@Suite struct RenderingTests {
    private let id = "f47ac10b-58cc-4372-a567-0e02b2c3d479"

    @Test func `Job run prints the lines of the API reference first`() {
        let reply = Joblet_RunJobResponse.with {
            $0.jobUuid = id
            $0.command = "python3"
            $0.args = ["script.py"]
            $0.status = "INITIALIZING"
            $0.startTime = "2024-01-15T10:30:00Z"
            $0.maxCpu = 50
            $0.maxMemory = 512
            $0.network = "host"
        }
        let expected = """
            Job started:
            ID: f47ac10b-58cc-4372-a567-0e02b2c3d479
            Command: python3 script.py
            Status: INITIALIZING
            StartTime: 2024-01-15T10:30:00Z
            MaxCPU: 50
            MaxMemory: 512
            Network: host (shared with system)

            """
        #expect(StartedJob(reply, request: .init()).text(.plain) == expected)

        let request = Joblet_RunJobRequest.with {
            $0.environment = ["A": "1"]
            $0.secretEnvironment = ["B": "2", "C": "3"]
        }
        let more = """
            Files: 2 uploaded successfully
            Environment: 1 variables set
            Secret Environment: 2 variables set

            """
        #expect(StartedJob(reply, request: request, uploads: 2).text(.plain) == expected + more)
    }

    @Test func `A scheduled job shows its schedule`() {
        let reply = Joblet_RunJobResponse.with {
            $0.jobUuid = id
            $0.command = "ls"
            $0.status = "SCHEDULED"
            $0.scheduledTime = "2024-01-15T11:30:00Z"
        }
        let text = StartedJob(reply, request: .init(), schedule: "1h").text(.plain)
        #expect(text.hasPrefix("Job scheduled:\nID: \(id)\nCommand: ls\nStatus: SCHEDULED\nSchedule Input: 1h\n"))
        #expect(text.contains("Scheduled Time: 2024-01-15T11:30:00Z\n"))
        #expect(!text.contains("StartTime"))
    }

    @Test func `Job run answers in JSON`() {
        let reply = Joblet_RunJobResponse.with {
            $0.jobUuid = id
            $0.status = "RUNNING"
            $0.startTime = "2024-01-15T10:30:00Z"
        }
        let request = Joblet_RunJobRequest.with {
            $0.command = "echo"
            $0.args = ["a b"]
            $0.secretEnvironment = ["B": "secret value"]
        }
        #expect(
            StartedJob(reply, request: request, uploads: 1).json.pretty == """
                {
                  "job_uuid": "f47ac10b-58cc-4372-a567-0e02b2c3d479",
                  "command": "echo",
                  "args": [
                    "a b"
                  ],
                  "status": "RUNNING",
                  "start_time": "2024-01-15T10:30:00Z",
                  "files_uploaded": 1,
                  "secret_env_vars": 1
                }
                """)
    }

    @Test func `Job status prints the lines of the API reference first`() {
        let job = Joblet_GetJobStatusRes.with {
            $0.uuid = id
            $0.command = "python3"
            $0.args = ["script.py"]
            $0.status = "RUNNING"
            $0.startTime = "2024-01-15T10:30:00Z"
            $0.maxCpu = 50
            $0.maxMemory = 512
        }
        let expected = """
            Id: f47ac10b-58cc-4372-a567-0e02b2c3d479
            Command: python3 script.py
            Status: RUNNING
            Started At: 2024-01-15T10:30:00Z
            Ended At:
            MaxCPU: 50
            MaxMemory: 512
            MaxIOBPS: 0
            ExitCode: 0

            """
        #expect(JobDetails(job, .plain).text.hasPrefix(expected))
    }

    @Test func `Job status shows everything else in sections`() {
        let start: Int64 = 1_700_000_000_000_000_000
        let job = Joblet_GetJobStatusRes.with {
            $0.uuid = id
            $0.command = "sh"
            $0.status = "FAILED"
            $0.reason = "oom"
            $0.signal = 9
            $0.exitCode = -1
            $0.name = "n"
            $0.nodeID = "node-1"
            $0.maxCpu = 50
            $0.startedAtNs = start
            $0.endedAtNs = start + 90_000_000_000
            $0.network = "none"
            $0.workDir = "/work"
            $0.keepWork = true
            $0.environment = ["B": "2", "A": "1"]
            $0.secretEnvironment = ["KEY": "********"]
            $0.uploads = ["a.txt"]
            $0.labels = ["team": "x"]
        }
        let text = JobDetails(job, .plain).text
        for part in [
            "\nJob Name: n\nNode ID: node-1\nReason: oom\nSignal: 9\n", "\nTiming:\n  Started: ",
            "\n  Duration: 1.5m\n", "\nResource Limits:\n  Max CPU: 50%\n",
            "\nNetwork Configuration:\n  Network: none\n",
            "\nWorking Directory:\n  Work Dir: /work\n  Kept until the job is deleted\n",
            "\nUploaded Files:\n  a.txt\n", "\nLabels:\n  team=x\n",
            "\nEnvironment Variables:\n  A=1\n  B=2\n  KEY=*** (secret)\n",
            "\nAvailable Actions:\n  • rnx job log \(id)\n  • rnx job delete \(id)\n",
        ] {
            #expect(text.contains(part), "\(part)")
        }
        #expect(!text.contains("********"))
        #expect(!text.contains("Volumes"))
    }

    @Test func `Job list prints the lines of the API reference`() {
        let jobs = [
            (id, "COMPLETED", "2024-01-15T10:30:00Z", ["echo", "hello"]),
            ("6ba7b810-9dad-11d1-80b4-00c04fd430c8", "RUNNING", "2024-01-15T10:35:00Z", ["python3", "script.py"]),
            ("6ba7b811-9dad-11d1-80b4-00c04fd430c8", "FAILED", "2024-01-15T10:40:00Z", ["invalid-command"]),
        ].map { id, status, start, command in
            Joblet_Job.with {
                $0.uuid = id
                $0.status = status
                $0.startTime = start
                $0.command = command[0]
                $0.args = Array(command.dropFirst())
            }
        }
        let expected = """
            f47ac10b-58cc-4372-a567-0e02b2c3d479 COMPLETED StartTime: 2024-01-15T10:30:00Z Command: echo hello
            6ba7b810-9dad-11d1-80b4-00c04fd430c8 RUNNING StartTime: 2024-01-15T10:35:00Z Command: python3 script.py
            6ba7b811-9dad-11d1-80b4-00c04fd430c8 FAILED StartTime: 2024-01-15T10:40:00Z Command: invalid-command

            """
        #expect(JobList(jobs, .plain).lines == expected)
        #expect(JobList(jobs, .plain).table.hasPrefix("ID                                    NAME  NODE ID  STATUS"))
        #expect(JobList(jobs, Palette(isEnabled: true)).lines.contains(" \u{1B}[32mCOMPLETED\u{1B}[0m StartTime"))
    }

    @Test func `An empty list says so, and is an empty array in JSON`() {
        #expect(JobList([], .plain).lines == "No jobs found\n")
        #expect(JobList([], .plain).table == "No jobs found\n")
        #expect(JobList([], .plain).json.pretty == "[]")
    }

    @Test func `A list keeps to one line per job whatever the command is`() {
        let job = Joblet_Job.with {
            $0.uuid = id
            $0.status = "RUNNING"
            $0.command = "sh"
            $0.args = ["-c", "echo \u{1B}[31m\nsecond line"]
        }
        #expect(
            JobList([job], .plain).lines
                == "\(id) RUNNING StartTime: N/A Command: sh -c echo \\u{1b}[31m...\n")
        let long = String(repeating: "x", count: 100)
        #expect(long.shortened(to: 80) == String(repeating: "x", count: 77) + "...")
        #expect(String(repeating: "x", count: 80).shortened(to: 80).count == 80)
    }

    @Test func `The table shows names and nodes`() {
        let job = Joblet_Job.with {
            $0.uuid = id
            $0.status = "SCHEDULED"
            $0.name = "nightly"
            $0.scheduledTime = "2024-01-15T10:30:00Z"
            $0.command = "ls"
        }
        let lines = JobList([job], .plain).table.split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines[2] == "\(id)  nightly  -        SCHEDULED  2024-01-15 10:30:00  ls")
    }

    @Test func `Stop, cancel and delete print the lines of the API reference`() {
        let stopped = Joblet_StopJobRes.with {
            $0.uuid = id
            $0.status = "STOPPED"
            $0.exitCode = -1
            $0.endTime = "2024-01-15T10:45:00Z"
        }
        #expect(
            stopped.text(.plain) == """
                Job stopped successfully:
                ID: f47ac10b-58cc-4372-a567-0e02b2c3d479
                Status: STOPPED
                ExitCode: -1
                EndTime: 2024-01-15T10:45:00Z

                """)
        let canceled = Joblet_CancelJobRes.with {
            $0.uuid = id
            $0.status = "CANCELED"
            $0.canceledAt = "2024-01-15T10:45:00Z"
        }
        #expect(
            canceled.text(.plain).hasPrefix(
                """
                Job canceled successfully:
                ID: f47ac10b-58cc-4372-a567-0e02b2c3d479
                Status: CANCELED
                CanceledAt: 2024-01-15T10:45:00Z

                """))
        let deleted = Joblet_DeleteJobRes.with {
            $0.uuid = id
            $0.success = true
        }
        #expect(deleted.text == "Job deleted successfully:\nID: f47ac10b-58cc-4372-a567-0e02b2c3d479\n")
        let all = Joblet_DeleteAllJobsRes.with {
            $0.success = true
            $0.deletedCount = 15
            $0.skippedCount = 3
        }
        #expect(all.text == "Successfully deleted 15 jobs, skipped 3 running/scheduled jobs\n")
        #expect(
            all.json.compact == #"{"success":true,"message":"","deleted_count":15,"skipped_count":3}"#)
    }

    @Test(
        "Errors are one line with the words of the server",
        arguments: [
            "role viewer is not allowed to perform operation run_job",
            "job not found: f47ac10b-58cc-4372-a567-0e02b2c3d479",
            "job is not running: 6ba7b810-9dad-11d1-80b4-00c04fd430c8 (current status: COMPLETED)",
            "failed to extract client role: no TLS information found",
        ])
    func errors(_ text: String) {
        #expect(Failure(.server(.permissionDenied), text).line == "Error: " + text)
    }

    @Test func `Errors in JSON have the keys of the API reference`() {
        let failure = Failure(.server(.notFound), "job not found: \(id)")
        #expect(
            failure.json.pretty == """
                {
                  "code": "NOT_FOUND",
                  "message": "job not found: f47ac10b-58cc-4372-a567-0e02b2c3d479",
                  "details": []
                }
                """)
        #expect(Failure(.server(.internalError), "a\nb\u{1B}[2J").line == "Error: a b\\u{1b}[2J")
    }

    @Test(
        "The exit code of --wait is that of the job",
        arguments: [
            ("COMPLETED", 0, 0, 0), ("FAILED", 3, 0, 3), ("FAILED", 127, 0, 127), ("FAILED", -1, 9, 137),
            ("STOPPED", -1, 15, 143), ("STOPPED", -1, 0, 1), ("CANCELED", 0, 0, 1), ("FAILED", 0, 0, 1),
            ("FAILED", 300, 0, 1), ("FAILED", -1, 99, 1),
        ] as [(String, Int32, Int32, Int32)])
    func exitCode(_ status: String, _ code: Int32, _ signal: Int32, _ expected: Int32) {
        let job = Joblet_GetJobStatusRes.with {
            $0.status = status
            $0.exitCode = code
            $0.signal = signal
        }
        #expect(job.processExitCode == expected)
    }

    @Test func `Colours need a terminal and nobody who refuses them`() {
        let free = Surroundings { _ in nil }
        #expect(Palette(free, isTerminal: true).isEnabled)
        #expect(!Palette(free, isTerminal: false).isEnabled)
        for name in ["NO_COLOR", "RNX_NO_COLOR"] {
            #expect(!Palette(Surroundings { $0 == name ? "1" : nil }, isTerminal: true).isEnabled)
            #expect(Palette(Surroundings { $0 == name ? "" : nil }, isTerminal: true).isEnabled)
        }
        #expect(Palette(free, isTerminal: true).status("RUNNING") == "\u{1B}[33mRUNNING\u{1B}[0m")
        #expect(Palette(free, isTerminal: true).status("OTHER") == "OTHER")
    }
}
