import CYAML

extension Node {
    /// Sequences and mappings within one another.
    static let maximumDepth = 1000

    /// The value of the one document of a text, nil for a text without any.
    ///
    /// An alias becomes a copy of what it stands for. Tags say nothing here: what a scalar means is up to who reads it.
    public init?(parsing text: String) throws(ParseError) {
        var text = text
        let node = text.withUTF8 { bytes in
            Result { () throws(ParseError) in
                var parser = Parser(bytes)
                return try parser.document()
            }
        }
        guard let node = try node.get() else { return nil }
        self = node
    }
}

/// Composes nodes of the events of libyaml.
private struct Parser: ~Copyable {
    private let bytes: UnsafeBufferPointer<UInt8>
    /// At an address of its own: the parser points to itself.
    private let parser = UnsafeMutablePointer<yaml_parser_t>.allocate(capacity: 1)
    private var anchors: [String: Node] = [:]

    /// Reads `bytes`, which must outlive it.
    init(_ bytes: UnsafeBufferPointer<UInt8>) {
        self.bytes = bytes
        parser.initialize(to: yaml_parser_t())
        let status = yaml_parser_initialize(parser)
        precondition(status == 1, "out of memory")
        yaml_parser_set_encoding(parser, YAML_UTF8_ENCODING)
        yaml_parser_set_input_string(parser, bytes.baseAddress, bytes.count)
    }

    deinit {
        yaml_parser_delete(parser)
        parser.deallocate()
    }

    mutating func document() throws(ParseError) -> Node? {
        _ = try next()  // The beginning of the stream.
        guard try next().type != YAML_STREAM_END_EVENT else { return nil }
        let node = try node(next(), depth: 1)
        _ = try next()  // The end of the document.
        let event = try next()
        guard event.type == YAML_STREAM_END_EVENT else {
            throw .syntax(
                "expected a single document in the stream (line 1): but found another document", event.mark)
        }
        return node
    }

    private mutating func node(_ event: borrowing Event, depth: Int) throws(ParseError) -> Node {
        let mark = event.mark
        guard depth <= Node.maximumDepth else {
            throw .syntax("while parsing a value: more than \(Node.maximumDepth) levels of nesting", mark)
        }
        let content: Node.Content
        switch event.type {
        case YAML_ALIAS_EVENT:
            guard let node = event.anchor.flatMap({ anchors[$0] }) else { throw .syntax("found undefined alias", mark) }
            return node
        case YAML_SEQUENCE_START_EVENT: content = .sequence(try sequence(depth: depth + 1))
        case YAML_MAPPING_START_EVENT: content = .mapping(try mapping(depth: depth + 1))
        default: content = .scalar(event.scalar)
        }
        let node = Node(content, at: mark)
        if let anchor = event.anchor { anchors[anchor] = node }
        return node
    }

    private mutating func sequence(depth: Int) throws(ParseError) -> [Node] {
        var nodes: [Node] = []
        while true {
            let event = try next()
            if event.type == YAML_SEQUENCE_END_EVENT { return nodes }
            nodes.append(try node(event, depth: depth))
        }
    }

    private mutating func mapping(depth: Int) throws(ParseError) -> [Node.Pair] {
        var pairs: [Node.Pair] = []
        var known: Set<Node> = []
        var repeated: Set<Node> = []
        while true {
            let event = try next()
            if event.type == YAML_MAPPING_END_EVENT { break }
            let key = try node(event, depth: depth)
            if !known.insert(key).inserted { repeated.insert(key) }
            pairs.append(Node.Pair(key: key, value: try node(next(), depth: depth)))
        }
        if !repeated.isEmpty { throw Self.duplicates(repeated, in: pairs) }
        return pairs
    }

    private static func duplicates(_ repeated: Set<Node>, in pairs: [Node.Pair]) -> ParseError {
        func text(_ key: Node) -> String { key.scalar?.text ?? "" }
        let texts = repeated.map(text).sorted()
        let first = pairs.first { repeated.contains($0.key) && text($0.key) == texts[0] }
        return .duplicateKeys(texts, first?.key.mark ?? Mark(line: 1, column: 1))
    }

    /// The next event; after the last there is none to ask for.
    private func next() throws(ParseError) -> Event {
        let event = Event()
        guard yaml_parser_parse(parser, event.event) == 1 else { throw error() }
        return event
    }

    private func error() -> ParseError {
        let reason = parser.pointee.problem.map { String(cString: $0) } ?? "out of memory"
        guard parser.pointee.error != YAML_READER_ERROR else {
            return .character(reason, mark(atByte: parser.pointee.problem_offset))
        }
        let context = parser.pointee.context.map {
            "\(String(cString: $0)) (line \(Mark(parser.pointee.context_mark).line)): "
        }
        return .syntax((context ?? "") + reason, Mark(parser.pointee.problem_mark))
    }

    private func mark(atByte offset: Int) -> Mark {
        let before = String(decoding: bytes.prefix(offset), as: UTF8.self)
        let line = before.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).last ?? ""
        return Mark(line: before.count(where: \.isNewline) + 1, column: line.unicodeScalars.count + 1)
    }
}

/// One event of libyaml, which owns memory.
private struct Event: ~Copyable {
    let event = UnsafeMutablePointer<yaml_event_t>.allocate(capacity: 1)

    init() { event.initialize(to: yaml_event_t()) }

    deinit {
        yaml_event_delete(event)
        event.deallocate()
    }

    var type: yaml_event_type_t { event.pointee.type }

    var mark: Mark { Mark(event.pointee.start_mark) }

    /// The name that a value has for aliases, or that an alias asks for.
    var anchor: String? {
        let name =
            switch type {
            case YAML_ALIAS_EVENT: event.pointee.data.alias.anchor
            case YAML_SEQUENCE_START_EVENT: event.pointee.data.sequence_start.anchor
            case YAML_MAPPING_START_EVENT: event.pointee.data.mapping_start.anchor
            default: event.pointee.data.scalar.anchor
            }
        return name.map { String(cString: $0) }
    }

    var scalar: Node.Scalar {
        let scalar = event.pointee.data.scalar
        let text = String(decoding: UnsafeBufferPointer(start: scalar.value, count: scalar.length), as: UTF8.self)
        return Node.Scalar(text, isQuoted: scalar.style != YAML_PLAIN_SCALAR_STYLE)
    }
}

extension Mark {
    fileprivate init(_ mark: yaml_mark_t) {
        self.init(line: Int(mark.line) + 1, column: Int(mark.column) + 1)
    }
}
