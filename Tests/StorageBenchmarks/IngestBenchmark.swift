import Backends
import BenchmarkSupport
import Foundation
import Glibc
import Storage

/// How fast the stores on this machine take a log and give it back.
struct IngestBenchmark {
    let surroundings: Surroundings

    private static let rounds = 3

    func run() async throws -> [Figure] {
        let log = SampleLog(megabytes: 500)
        let lines = SampleLog(megabytes: 125, shape: .lines)
        // The text is made with the first use.
        _ = log.text(of: 0)
        var rates: [String: Rates] = [:]
        var codecs: [BareCodec] = []
        var disk: [Double] = []
        for _ in 0..<Self.rounds {
            codecs.append(try BareCodec(log))
            disk.append(log.megabytes / (try writeSeconds(log)))
            for backend in ["local_gzip", "sqlite"] {
                try await measure(backend, log, lines, &rates[backend, default: Rates()])
            }
        }
        let floors = CodecRates(codecs, log)
        var figures = [Figure("ingest.disk_mb_s", disk.median, "MB/s", better: .higher)]
        for (backend, rates) in rates.sorted(by: { $0.key < $1.key }) {
            figures += rates.figures(backend, floors)
        }
        return figures
    }

    private func measure(
        _ backend: String, _ log: SampleLog, _ lines: SampleLog, _ rates: inout Rates
    ) async throws {
        let directory = "\(surroundings.work)/\(backend)"
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let store = try open(backend, directory)
        rates.add(log, try await log.ingest(into: store))
        rates.readBack.append(log.megabytes / (try await log.readBack(from: store)))
        let statistics = try await store.statistics(of: log.job)
        rates.ratio = Double(statistics.bytes) / Double(statistics.storedBytes)
        rates.lines.append(Double(lines.lines) / (try await lines.ingest(into: store)).seconds)
    }

    private func open(_ backend: String, _ directory: String) throws -> any LogStore {
        switch backend {
        case "sqlite": try SQLiteLogStore(path: directory + "/logs.db", durability: surroundings.durability)
        default: try LocalGzipLogStore(directory: directory, durability: surroundings.durability)
        }
    }

    /// Seconds to write the text to a file, as durable as the stores make it.
    private func writeSeconds(_ log: SampleLog) throws -> Double {
        let path = surroundings.work + "/bare"
        defer { unlink(path) }
        let file = Glibc.open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        guard file >= 0 else { throw Wrong("\(path): error \(errno)") }
        defer { close(file) }
        let start = ContinuousClock.now
        for index in 0..<log.count {
            let text = log.text(of: index)
            guard write(file, text, text.count) == text.count else { throw Wrong("\(path): error \(errno)") }
        }
        if surroundings.durability == .power, fdatasync(file) != 0 { throw Wrong("\(path): error \(errno)") }
        return (ContinuousClock.now - start).seconds
    }
}

/// What was measured of one backend.
struct Rates {
    /// MB a second, and MB a second of CPU time.
    private var ingest: [Double] = []
    private var perCore: [Double] = []
    /// Lines a second where each is a fragment.
    var lines: [Double] = []
    /// MB a second.
    var readBack: [Double] = []
    /// The length of the text divided by what it takes in the store.
    var ratio = 0.0

    mutating func add(_ log: SampleLog, _ cost: (seconds: Double, processorSeconds: Double)) {
        ingest.append(log.megabytes / cost.seconds)
        perCore.append(log.megabytes / cost.processorSeconds)
    }

    /// The figures beside those of the compressor alone.
    func figures(_ backend: String, _ floors: CodecRates) -> [Figure] {
        [
            Figure("ingest.\(backend).mb_s", ingest.median, "MB/s", floor: floors.compress, better: .higher),
            Figure(
                "ingest.\(backend).mb_s_per_core", perCore.median, "MB/s", floor: floors.compressPerCore,
                better: .higher),
            Figure(
                "ingest.\(backend).lines_s", lines.median, "lines/s",
                floor: floors.compress * floors.linesPerMegabyte, better: .higher),
            Figure("ingest.ratio.\(backend)", ratio, "text/stored", floor: floors.ratio, better: .higher),
            Figure("readback.\(backend).mb_s", readBack.median, "MB/s", floor: floors.inflate, better: .higher),
        ]
    }
}
