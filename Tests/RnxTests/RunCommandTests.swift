import ArgumentParser
import JobletAPI
import Testing

@testable import rnx

@Suite struct RunCommandTests {
    private func request(_ line: String) throws -> Joblet_RunJobRequest {
        try parse(words(line), as: RunCommand.self).request(now: 1_700_000_000_000_000_000)
    }

    @Test func `The examples of the API reference become requests`() throws {
        let hello = try parse(["job", "run", "echo", "hello world"], as: RunCommand.self).request()
        #expect(hello.command == "echo")
        #expect(hello.args == ["hello world"])

        let script = try request("job run --max-cpu=50 --max-memory=512 python3 script.py")
        #expect(script.maxCpu == 50)
        #expect(script.maxMemory == 512)
        #expect(script.command == "python3")
        #expect(script.args == ["script.py"])

        let java = try request("job run --max-memory=1024 java -jar app.jar")
        #expect(java.maxMemory == 1024)
        #expect(java.args == ["-jar", "app.jar"])

        let shell = try parse(["job", "run", "bash", "-c", "sleep 10 && echo done"], as: RunCommand.self).request()
        #expect(shell.args == ["-c", "sleep 10 && echo done"])

        let line = "--server=prod.example.com:50051 --cert=certs/a.pem --key=certs/k.pem run echo remote"
        let remote = try parse(words(line), as: RunCommand.self)
        #expect(remote.connection.server == "prod.example.com:50051")
        #expect(remote.connection.cert == "certs/a.pem")
        #expect(remote.connection.key == "certs/k.pem")
        #expect(remote.command == ["echo", "remote"])
    }

    @Test func `Every option reaches the request, with = and without`() throws {
        let spaced = try request(
            """
            run --max-cpu 50 --max-memory 64 --max-iobps 1000 --cpu-cores 0-1 --gpu 2 --gpu-memory 8GB --timeout 1h30m \
            --name n --work-dir /work/a -e A=1 --env B=2=3 -s C=4 --secret-env D= --label l=m --network none \
            --volume v --volume w --runtime python-3.11 --schedule 1h --init --keep-work --durability power \
            --output-policy drop env -i
            """)
        let joined = try request(
            """
            run --max-cpu=50 --max-memory=64 --max-iobps=1000 --cpu-cores=0-1 --gpu=2 --gpu-memory=8GB --timeout=1h30m \
            --name=n --work-dir=/work/a -e=A=1 --env=B=2=3 -s=C=4 --secret-env=D= --label=l=m --network=none \
            --volume=v --volume=w --runtime=python-3.11 --schedule=1h --init --keep-work --durability=power \
            --output-policy=drop env -i
            """)
        #expect(spaced == joined)
        #expect(spaced.maxCpu == 50)
        #expect(spaced.maxMemory == 64)
        #expect(spaced.maxIobps == 1000)
        #expect(spaced.cpuCores == "0-1")
        #expect(spaced.gpuCount == 2)
        #expect(spaced.gpuMemoryMb == 8192)
        #expect(spaced.timeout == "1h30m")
        #expect(spaced.name == "n")
        #expect(spaced.workDir == "/work/a")
        #expect(spaced.environment == ["A": "1", "B": "2=3"])
        #expect(spaced.secretEnvironment == ["C": "4", "D": ""])
        #expect(spaced.labels == ["l": "m"])
        #expect(spaced.network == "none")
        #expect(spaced.volumes == ["v", "w"])
        #expect(spaced.runtime == "python-3.11")
        #expect(spaced.schedule == "2023-11-14T23:13:20Z")
        #expect(spaced.init_p)
        #expect(spaced.keepWork)
        #expect(spaced.durability == "power")
        #expect(spaced.outputPolicy == "drop")
        #expect(spaced.command == "env")
        #expect(spaced.args == ["-i"])
    }

    @Test func `Other spellings of scripts are accepted`() throws {
        let request = try request("run --cpu 10 --memory 20 --workdir /work ls")
        #expect(request.maxCpu == 10)
        #expect(request.maxMemory == 20)
        #expect(request.workDir == "/work")
    }

    @Test(
        "What is no number, name or known option is refused",
        arguments: [
            "run", "run --max-cpu", "run --max-cpu x ls", "run --max-cpu= ls", "run --max-cpu=1.5 ls",
            "run --max-memory=99999999999 ls", "run --gpu=two ls", "run --bogus ls", "run --wait=yes ls", "run -",
            "run --", "run --max-cpu=0x10 ls", "run --name", "run -x ls", "run --max-iobps=1e6 ls",
        ])
    func refused(_ line: String) {
        #expect(throws: (any Error).self) { try parse(words(line), as: RunCommand.self) }
    }

    @Test(
        "Values that only look right are refused",
        arguments: [
            "run --gpu-memory=8TB ls", "run --gpu-memory=-1GB ls", "run --gpu-memory=9999999GB ls",
            "run --gpu-memory= ls", "run --timeout=forever ls", "run --timeout=0s ls", "run --timeout=-5s ls",
            "run --env=A ls", "run --env==x ls", "run --env=1A=x ls", "run -e A-B=x ls", "run --label=x ls",
            "run --label==x ls", "run --schedule=soon ls", "run --schedule=2y ls", "run --schedule=0s ls",
        ])
    func refusedValue(_ line: String) throws {
        let command = try parse(words(line), as: RunCommand.self)
        let failure = #expect(throws: Failure.self) { try command.request() }
        #expect(failure?.exitCode == 2)
    }

    @Test func `A value of 32 KiB is the longest of an environment variable`() throws {
        let longest = "A=" + String(repeating: "x", count: 32768)
        #expect(try Assignment.variable(longest).value.count == 32768)
        #expect(throws: Failure(.usage, "value is too long (32769 bytes, max 32768)")) {
            try Assignment.variable(longest + "x")
        }
    }

    @Test func `Reserved variables are warned of and passed on`() throws {
        let command = try parse(words("run -e PATH=/x -e MINE=1 -s HOME=/y ls"), as: RunCommand.self)
        #expect(
            command.sandbox.warnings == [
                "environment variable PATH is reserved and may be overridden by the system",
                "environment variable HOME is reserved and may be overridden by the system",
            ])
        #expect(try command.request().environment["PATH"] == "/x")
    }

    @Test func `Help belongs to rnx before the command only`() throws {
        #expect(!(try RootCommand.parseAsRoot(ArgumentOrder(["run", "-h"]).arguments) is RunCommand))
        #expect(try parse(["run", "ls", "--help"], as: RunCommand.self).command == ["ls", "--help"])
        #expect(try parse(["run", "--", "-h"], as: RunCommand.self).command == ["-h"])
    }
}
