import CCurl
import Glibc
import Synchronization

/// The thread that drives libcurl's multi handle.
final class TransferLoop: @unchecked Sendable {
    // Safe to share: the multi handle is used by the loop's thread only, but for curl_multi_wakeup, which may be
    // called from any; `running` is the thread's own.
    private let multi: OpaquePointer?
    private let connections: Int
    private let caBundle: String?
    private let proxies: Proxies
    private let shared = Mutex(Shared())
    private var running: [OpaquePointer: Running] = [:]

    private struct Shared {
        var waiting: [Transfer] = []
        var hasCancelled = false
        var isStopped = false
    }

    /// A transfer with what libcurl points to while it runs.
    private struct Running {
        var transfer: Transfer
        var headers: UnsafeMutablePointer<curl_slist>?
        var body: UnsafeMutableRawBufferPointer
        var message: UnsafeMutablePointer<CChar>
    }

    private static let isInitialized: Bool = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    init(connections: Int, caBundle: String?, proxies: Proxies) {
        precondition(Self.isInitialized, "libcurl cannot be initialized")
        self.connections = max(1, connections)
        self.caBundle = caBundle
        self.proxies = proxies
        multi = curl_multi_init().map { OpaquePointer($0) }
        _ = joblet_curl_multi_set_long(handle, CURLMOPT_MAXCONNECTS, self.connections)
        _ = joblet_curl_multi_set_long(handle, CURLMOPT_MAX_TOTAL_CONNECTIONS, self.connections)
    }

    private var handle: UnsafeMutableRawPointer? { multi.map { UnsafeMutableRawPointer($0) } }

    /// Starts the thread, which keeps the loop alive until `stop`.
    func start() {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        pthread_attr_setstacksize(&attributes, 1 << 20)
        var thread = pthread_t()
        let status = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                Unmanaged<TransferLoop>.fromOpaque(argument).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(self).toOpaque())
        precondition(status == 0, "cannot start a thread: \(status)")
        pthread_attr_destroy(&attributes)
    }

    func stop() {
        shared.withLock { $0.isStopped = true }
        curl_multi_wakeup(handle)
    }

    func add(_ transfer: Transfer) {
        shared.withLock { $0.waiting.append(transfer) }
        curl_multi_wakeup(handle)
    }

    func cancel(_ transfer: Transfer) {
        transfer.markCancelled()
        shared.withLock { $0.hasCancelled = true }
        curl_multi_wakeup(handle)
    }

    private func run() {
        while true {
            let (isStopped, hasCancelled) = shared.withLock { shared in
                defer { shared.hasCancelled = false }
                return (shared.isStopped, shared.hasCancelled)
            }
            if isStopped { break }
            if hasCancelled { endCancelled() }
            startWaiting()
            var count: Int32 = 0
            curl_multi_perform(handle, &count)
            let ended = endFinished()
            // A place became free: the next one begins at once.
            if ended, shared.withLock({ !$0.waiting.isEmpty }) { continue }
            curl_multi_poll(handle, nil, 0, 60_000, nil)
        }
        for easy in Array(running.keys) { remove(easy)?.end(.failure(.cancelled)) }
        let waiting = shared.withLock { $0.waiting }
        for transfer in waiting { transfer.end(.failure(.cancelled)) }
        curl_multi_cleanup(handle)
    }

    private func startWaiting() {
        while running.count < connections {
            let next = shared.withLock { $0.waiting.isEmpty ? nil : $0.waiting.removeFirst() }
            guard let next else { return }
            if !next.isCancelled { start(next) }
        }
    }

    private func endCancelled() {
        for (easy, entry) in running where entry.transfer.isCancelled { _ = remove(easy) }
    }

    private func endFinished() -> Bool {
        var hasEnded = false
        var result = CURLE_OK
        while let easy = joblet_curl_next_finished(handle, &result) {
            hasEnded = true
            var status = 0
            _ = joblet_curl_get_long(easy, CURLINFO_RESPONSE_CODE, &status)
            let key = OpaquePointer(easy)
            let detail = running[key].map { String(cString: $0.message) } ?? ""
            guard let transfer = remove(key) else { continue }
            // libcurl takes a header that the end of the connection cuts for a whole one.
            if result == CURLE_OK, !transfer.isHeaderWhole {
                transfer.end(.failure(.connection("the reply ended within its header")))
            } else if result == CURLE_OK {
                transfer.end(
                    .success(HTTPReply(status: status, headers: transfer.replyHeaders, body: transfer.replyBody)))
            } else {
                transfer.end(.failure(error(result, detail, of: transfer)))
            }
        }
        return hasEnded
    }

    private func error(_ code: CURLcode, _ detail: String, of transfer: Transfer) -> HTTPError {
        let text = detail.isEmpty ? String(cString: curl_easy_strerror(code)) : detail
        switch code {
        case CURLE_WRITE_ERROR where transfer.isTooLong: return .tooLong
        case CURLE_OPERATION_TIMEDOUT: return .timedOut(text)
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL, CURLE_SSL_CACERT_BADFILE: return .invalid(text)
        default: return .connection(text)
        }
    }

    private func start(_ transfer: Transfer) {
        guard let easy = curl_easy_init() else {
            transfer.end(.failure(.invalid("libcurl has no memory")))
            return
        }
        let request = transfer.request
        // libcurl reads the body from here until the transfer ends.
        let body = UnsafeMutableRawBufferPointer.allocate(byteCount: max(1, request.body.count), alignment: 1)
        body.copyBytes(from: request.body)
        let message = UnsafeMutablePointer<CChar>.allocate(capacity: Int(CURL_ERROR_SIZE))
        message.initialize(repeating: 0, count: Int(CURL_ERROR_SIZE))
        var headers: UnsafeMutablePointer<curl_slist>?
        let given = Set(request.headers.map { $0.name.lowercased() })
        // Without a value libcurl leaves the field out: it would add these by itself.
        for name in ["Expect", "Content-Type", "Accept"] where !given.contains(name.lowercased()) {
            headers = curl_slist_append(headers, "\(name):")
        }
        for header in request.headers {
            // A semicolon is libcurl's way to say that the empty value is meant.
            headers = curl_slist_append(
                headers, header.value.isEmpty ? "\(header.name);" : "\(header.name): \(header.value)")
        }
        configure(easy, request, message)
        _ = joblet_curl_set_pointer(easy, CURLOPT_HTTPHEADER, headers)
        if !request.body.isEmpty || ["PUT", "POST"].contains(request.method) {
            _ = joblet_curl_set_size(easy, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(request.body.count))
            _ = joblet_curl_set_pointer(easy, CURLOPT_POSTFIELDS, body.baseAddress)
        }
        if request.method == "HEAD" { _ = joblet_curl_set_long(easy, CURLOPT_NOBODY, 1) }
        _ = joblet_curl_set_string(easy, CURLOPT_CUSTOMREQUEST, request.method)
        let context = Unmanaged.passUnretained(transfer).toOpaque()
        _ = joblet_curl_set_pointer(easy, CURLOPT_WRITEDATA, context)
        _ = joblet_curl_set_pointer(easy, CURLOPT_HEADERDATA, context)
        _ = joblet_curl_set_callback(easy, CURLOPT_WRITEFUNCTION) { bytes, size, count, context in
            guard let bytes, let context else { return 0 }
            let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
            let isTaken = transfer.receive(UnsafeRawBufferPointer(start: bytes, count: size * count))
            return isTaken ? size * count : 0
        }
        _ = joblet_curl_set_callback(easy, CURLOPT_HEADERFUNCTION) { bytes, size, count, context in
            guard let bytes, let context else { return 0 }
            let transfer = Unmanaged<Transfer>.fromOpaque(context).takeUnretainedValue()
            let line = UnsafeRawBufferPointer(start: bytes, count: size * count)
            transfer.receiveHeader(String(decoding: line, as: UTF8.self))
            return size * count
        }
        let key = OpaquePointer(easy)
        running[key] = Running(transfer: transfer, headers: headers, body: body, message: message)
        let status = curl_multi_add_handle(handle, easy)
        if status != CURLM_OK {
            remove(key)?.end(.failure(.invalid(String(cString: curl_multi_strerror(status)))))
        }
    }

    private func configure(
        _ easy: UnsafeMutableRawPointer, _ request: HTTPRequest, _ message: UnsafeMutablePointer<CChar>
    ) {
        _ = joblet_curl_set_pointer(easy, CURLOPT_ERRORBUFFER, message)
        _ = joblet_curl_set_string(easy, CURLOPT_URL, request.url)
        _ = joblet_curl_set_string(easy, CURLOPT_PROTOCOLS_STR, "http,https")
        _ = joblet_curl_set_long(easy, CURLOPT_HTTP_VERSION, Int(CURL_HTTP_VERSION_1_1))
        _ = joblet_curl_set_long(easy, CURLOPT_PATH_AS_IS, 1)
        _ = joblet_curl_set_long(easy, CURLOPT_NOSIGNAL, 1)
        _ = joblet_curl_set_long(easy, CURLOPT_TCP_KEEPALIVE, 1)
        _ = joblet_curl_set_long(easy, CURLOPT_CONNECTTIMEOUT_MS, request.timeouts.connect)
        _ = joblet_curl_set_long(easy, CURLOPT_TIMEOUT_MS, request.timeouts.total)
        _ = joblet_curl_set_long(easy, CURLOPT_LOW_SPEED_LIMIT, 1)
        _ = joblet_curl_set_long(easy, CURLOPT_LOW_SPEED_TIME, max(1, request.timeouts.stall / 1000))
        if let caBundle { _ = joblet_curl_set_string(easy, CURLOPT_CAINFO, caBundle) }
        // Both are always set: libcurl itself does not read HTTP_PROXY.
        _ = joblet_curl_set_string(easy, CURLOPT_PROXY, proxies.proxy(for: request.url))
        _ = joblet_curl_set_string(
            easy, CURLOPT_NOPROXY, request.bypassesProxies ? "*" : proxies.exceptions ?? "")
    }

    /// Frees what belongs to a transfer and returns it.
    private func remove(_ key: OpaquePointer) -> Transfer? {
        guard let entry = running.removeValue(forKey: key) else { return nil }
        let easy = UnsafeMutableRawPointer(key)
        curl_multi_remove_handle(handle, easy)
        curl_easy_cleanup(easy)
        curl_slist_free_all(entry.headers)
        entry.body.deallocate()
        entry.message.deallocate()
        return entry.transfer
    }
}
