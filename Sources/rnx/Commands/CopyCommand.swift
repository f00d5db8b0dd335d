import ArgumentParser
import GRPCCore
import JobletAPI

/// `rnx job cp`.
struct CopyCommand: ServerCommand {
    static let configuration = CommandConfiguration(
        commandName: "cp",
        abstract: "Copy a file or directory out of the work directory of a job.",
        discussion: """
            A destination that is a directory receives the copy under its own name; any other destination becomes the \
            copy. Symbolic links that lead out of the copy, sockets, devices and pipes are left out, with a warning.
            """)

    @Argument(help: ArgumentHelp("What to copy: UUID and path, such as 1b9d:/work/out.", valueName: "job:path"))
    var source: String

    @Argument(help: "Where to.")
    var destination: String

    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
        guard CopySource(source) != nil else {
            throw ValidationError("expected JOB:PATH, not '\(source)'")
        }
        guard !destination.isEmpty else { throw ValidationError("the destination is empty") }
    }

    func run(_ server: Connection) async throws {
        guard let source = CopySource(source) else { return }
        var request = Joblet_Ext_CopyFromJobRequest()
        request.uuid = source.job
        request.path = source.path
        let name = source.name
        let destination = destination
        let copy = try await server.transfer.copyFromJob(request, options: Connection.streaming) { response in
            let copy = try CopyWriter(destination, name: name)
            for try await chunk in response.messages {
                switch chunk.part {
                case .header(let header): try copy.begin(header)
                case .content(let content): try copy.write(content)
                case nil: break
                }
            }
            return try copy.finish()
        }
        copy.skipped.forEach { StandardError.warn("left out \($0)") }
        try show(
            .object([
                ("job_uuid", .string(source.job)), ("path", .string(source.path)),
                ("destination", .string(copy.destination)), ("files", .integer(copy.files)),
                ("bytes", .integer(copy.bytes)), ("left_out", .array(copy.skipped.map { .string($0) })),
            ]),
            "Copied \(copy.files) files (\(SizeText.megabytes(copy.bytes))) to \(copy.destination.printable)\n")
    }
}

/// `JOB:PATH`.
struct CopySource: Equatable {
    let job: String
    /// Absolute in the job, or relative to its work directory.
    let path: String

    init?(_ text: String) {
        guard let colon = text.firstIndex(of: ":"), colon != text.startIndex else { return nil }
        job = String(text[..<colon])
        let path = text[text.index(after: colon)...]
        self.path = path.isEmpty ? "/work" : String(path)
    }

    /// What the copy is called inside a destination directory.
    var name: String {
        let last = path.split(separator: "/").last { $0 != "." }.map(String.init) ?? "work"
        return last == ".." ? "work" : last
    }
}
