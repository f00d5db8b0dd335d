import Engine
import FoundationEssentials
import GRPCCore
import JobletAPI
import Storage

/// `joblet.ext.TransferService`: files of any size to and from jobs, in pieces.
struct TransferService: Joblet_Ext_TransferService.SimpleServiceProtocol {
    let engine: JobEngine
    let closing: ClosingSignal

    func runJobWithUploads(
        request: RPCAsyncSequence<Joblet_Ext_RunJobPart, any Error>, context: ServerContext
    ) async throws -> Joblet_RunJobResponse {
        try await Status.mapping { try await run(request) }
    }

    private func run(
        _ parts: RPCAsyncSequence<Joblet_Ext_RunJobPart, any Error>
    ) async throws -> Joblet_RunJobResponse {
        let id = JobID.random()
        let uploads = engine.stage(for: id)
        do {
            var job: JobRequest?
            for try await part in parts {
                switch part.part {
                case .request(let message):
                    guard job == nil else { throw EngineError(.invalidArgument, "the request was sent twice") }
                    guard message.uploads.isEmpty else {
                        throw EngineError(.invalidArgument, "uploads belong into the stream, not into the request")
                    }
                    job = try JobRequest(message)
                case .header(let header):
                    guard job != nil else { throw EngineError(.invalidArgument, "the request must come first") }
                    let path = try WorkPath(header.path)
                    if header.isDirectory {
                        try await uploads.makeDirectory(path, mode: header.mode)
                    } else {
                        try await uploads.beginFile(path, mode: header.mode, size: header.size)
                    }
                case .content(let bytes): try await uploads.write(Array(bytes))
                case nil: throw EngineError(.invalidArgument, "an empty part of an upload")
                }
            }
            guard let job else { throw EngineError(.invalidArgument, "no request was sent") }
            try await uploads.endFile()
            return try await engine.submit(job, id: id, uploads: uploads).startMessage
        } catch {
            await uploads.discard()
            throw error
        }
    }

    func copyFromJob(
        request: Joblet_Ext_CopyFromJobRequest, response: RPCWriter<Joblet_Ext_CopyChunk>, context: ServerContext
    ) async throws {
        try await Status.mapping {
            guard !request.uuid.isEmpty else { throw EngineError(.invalidArgument, "uuid is required") }
            let id = try await engine.resolve(request.uuid)
            try await closing.ending(context) {
                try await engine.readKeptFiles(of: id, path: request.path) { piece in
                    try await response.write(Joblet_Ext_CopyChunk(piece))
                }
            }
        }
    }
}

extension Joblet_Ext_CopyChunk {
    init(_ piece: KeptFiles.Piece) {
        self.init()
        switch piece {
        case .entry(let entry):
            header.path = Data(entry.path)
            header.mode = entry.mode
            header.isDirectory = entry.isDirectory
            header.size = entry.size
            header.symlinkTarget = Data(entry.linkDestination)
            header.leftOut = entry.isLeftOut
        case .content(let bytes): content = Data(bytes)
        }
    }
}
