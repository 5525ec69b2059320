# Copyright: (c) 2026, the kasops team
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Outlines a Ruby text: Ripper's events in, JSON out. A node gets it in plugins/module_utils/_ruby_outline.py, which
# scripts/ruby_outline.py makes of this file.
#
# It keeps the tokens in the order in which Ruby reads them and makes each node remember its first and last one,
# so byte ranges need no guess: where a node ends without a token of its own, the brackets that Ruby matched and
# the separators that Ruby named say so. What it cannot pin down it calls an `expression` or leaves to
# `mentions`; it is for the caller to refuse then.
#
# Question, on standard input: a line `{"bytes": N, "commented": [[name, key or null], …]}` and N bytes of Ruby.
# Answer, on standard output: a line of JSON, the fields of Outline in _ruby.py, or `{"problem": …}`.
# Or a line `{"glob": [pattern, …], "sorted": …, "upcoming": path or null}`, answered with `{"files": [path, …]}`.
require 'json'
require 'ripper'

# What a text says, statement by statement, as far as it is sure.
class Outline < Ripper
  Token = Struct.new(:type, :from, :to, :mate)
  Node = Struct.new(:type, :args, :first, :last)

  # What separates code; it leaves no token.
  TRIVIA = %i[sp ignored_sp nl ignored_nl embdoc_beg embdoc embdoc_end semicolon].freeze
  NOTES = {
    open: %i[tstring_beg words_beg qwords_beg symbols_beg qsymbols_beg symbeg backtick regexp_beg
             lbrace tlambeg embexpr_beg lbracket lparen],
    close: %i[tstring_end heredoc_end regexp_end label_end rbrace embexpr_end rbracket rparen],
    open_heredoc: %i[heredoc_beg], global: %i[backref gvar]
  }.flat_map { |note, events| events.map { |event| [event, note] } }.to_h.freeze
  LISTS = %w[stmts args mlhs qwords words word qsymbols symbols mrhs string xstring regexp].freeze
  # What a literal may be made of: no calls, no variables, no interpolation.
  LITERAL = %i[hash assoclist_from_args assoc_new array args args_add_block string_literal string string_concat
               symbol_literal symbol dyna_symbol qwords qsymbols words word symbols unary heredoc_dedent
               int float CHAR tstring_content label ident const kw op gvar ivar cvar backtick].freeze
  KEYWORDS = { 'nil' => nil, 'true' => true, 'false' => false }.freeze
  # Code in these may run later, or again, or not at all.
  SCOPES = %i[brace_block do_block lambda def defs BEGIN END class sclass module].freeze
  EFFECTS = %i[assign opassign massign command command_call yield yield0 super zsuper xstring_literal return
               return0 break next redo retry alias undef].freeze
  # Methods that only give a value: they neither change their receiver nor leave anything behind.
  HARMLESS = %w[[] fetch dig key? include? read exist? file? join expand_path dirname basename parse load safe_load
                to_s to_i to_f to_a to_h to_sym strip chomp chop upcase downcase capitalize split lines first last
                map select reject compact uniq sort flatten reverse sum min max size length count empty? nil? any? all?
                merge keys values freeze dup zip take drop start_with? end_with? encode64 strict_encode64 decode64
                strict_decode64 hexdigest gethostname positive? negative? zero? round floor ceil abs].freeze
  COMMENT = /\A\s*#+[ \t]*/n.freeze
  MATCHING = %w[sub gsub match scan partition slice].freeze
  # Methods that run another file or a text, and those that run their block at once.
  RUNNERS = %w[from_file load require require_relative eval instance_eval instance_exec class_eval class_exec
               module_eval module_exec].freeze
  LOOPS = %w[each each_with_index reverse_each each_pair each_key each_value each_slice times upto downto step
             loop].freeze
  # What a statement may reach every setting by, and the methods that keep or change it for later.
  REACHES = %w[self Gitlab Kernel Object send public_send __send__ internal_set].freeze
  KEEPERS = %w[extend include prepend define_method define_singleton_method alias_method singleton_class method
               public_method instance_method undef_method remove_method instance_variable_set const_set freeze tap then
               yield_self method_missing at_exit autoload lambda proc itself].freeze
  # What Chef has loaded when it reads a gitlab.rb, beside what a bare Ruby knows.
  LOADED = %w[Addrinfo Base64 Benchmark BigDecimal Chef ChefUtils Cinc CSV Date DateTime Digest ERB Etc FileUtils
              Forwardable Gitlab IPAddr IPSocket JSON Logger Mash Mixlib Net Ohai Open3 OpenSSL OpenStruct Pathname PP
              Psych Resolv SecureRandom Set Shellwords Singleton Socket SocketError StringIO StringScanner TCPServer
              TCPSocket Tempfile Timeout UDPSocket UNIXSocket URI YAML Zlib].freeze
  EXISTS = %w[exist? exists? file? readable? directory?].freeze

  def initialize(source)
    super
    @source = source.b
    @starts = [0]
    @source.scan("\n") { @starts << Regexp.last_match.end(0) }
    @tokens = []
    @open = []
    @statements = []
    @locals = {}
    @loops = {}.compare_by_identity
    @spent = {}.compare_by_identity
    @comments = []
    @remarks = []
    @defined = []
    @end = @source.bytesize
  end

  # -- Ripper's events --

  (SCANNER_EVENTS - TRIVIA - %i[comment __end__]).each do |event|
    note = NOTES[event]
    define_method(:"on_#{event}") do |text|
      from = @starts[lineno - 1] + column
      @tokens << Token.new(event, from, from + text.bytesize)
      index = @tokens.size - 1
      send(note, index, text) if note
      Node.new(event, [text], index, index)
    end
  end

  def on_comment(_text)
    @remarks << (@starts[lineno - 1] + column)
    @comments << lineno if @source[@starts[lineno - 1], column].strip.empty?
  end

  def on___end__(_text)
    @end = @starts[lineno - 1]
  end

  PARSER_EVENTS.each do |event|
    define_method(:"on_#{event}") do |*args|
      Node.new(event, args, first_of(args), @tokens.size - 1)
    end
  end

  # A list is one node that grows, not a chain of nodes.
  LISTS.each do |list|
    opener = list == 'string' ? 'string_content' : "#{list}_new"
    define_method(:"on_#{opener}") { |*args| Node.new(list.to_sym, args, nil, nil) }
    define_method(:"on_#{list}_add") do |node, item|
      item.last = @tokens.size - 1 if list == 'stmts'
      node.first ||= item.first
      node.args << item
      node
    end
  end

  def on_program(body)
    before = -1
    body.args.each do |node|
      next if node.type == :void_stmt

      first = before + 1
      last = code_end(node.last)
      @statements << statement(node, first, last)
      before = scanned(last)
    end
  end

  def answer(commented)
    { statements: @statements, locals: @locals, commented: commented_out(commented), end: @end, remarks: @remarks,
      unknown: unknown_constants,
      reserved: commented.map(&:first).uniq.select { |name| Module.new.respond_to?(name, true) } }
  end

  # Where the statements [name, key] stand commented out: [name, keys, from, to], whole lines.
  def commented_out(wanted)
    return [] if wanted.empty?

    start = Regexp.union(wanted.map do |name, key|
      key ? /#{name}\s*\[\s*['":]#{Regexp.escape(key.b)}\b/n : /#{name}[\s(]/n
    end)
    start = /#{COMMENT}#{start}/n
    numbers = @comments.to_h { |number| [number, true] }
    @comments.filter_map { |number| commented_at(number, numbers) if line(number).match?(start) }
  end

  # The statement that Ruby reads in as few comment lines as it takes, from this one on.
  def commented_at(first, numbers)
    text = ''.b
    last = (first...first + 60).take_while { |number| numbers[number] }.find do |number|
      Ripper.sexp(text << line(number).sub(COMMENT, ''))
    end
    found = last ? Outline.of(text) : []
    return unless found.size == 1 && found[0][:keys]

    [found[0][:name], found[0][:keys], @starts[first - 1], @starts[last] || @source.bytesize]
  end

  # The constants that a bare Ruby, Chef and this text know nothing of.
  def unknown_constants
    names = @statements.flat_map { |statement| statement[:mentions] }.map { |mention| mention[:name] }
    (names.grep(/\A[A-Z]/) - LOADED - @defined).uniq.reject { |name| Object.const_defined?(name) }
  end

  def self.of(text)
    outline = new(text)
    outline.parse
    outline.instance_variable_get(:@statements)
  end

  private

  # -- Tokens --

  def open(index, text)
    @open << index unless text == ':' # of a plain symbol, which nothing closes
  end

  # Somebody asks what the last match was, or where libraries are.
  def global(_index, text)
    @last_match ||= text.match?(/\A\$[~&`'+\d]/)
    @load_path ||= %w[$: $-I $LOAD_PATH].include?(text)
  end

  def close(index, _text)
    mate = @open.pop or return
    @tokens[index].mate = mate
    @tokens[mate].mate = index
    # The line of a heredoc's terminator belongs to it, whatever ends the line.
    @tokens[index].to = @starts[lineno] || @source.bytesize if @tokens[index].type == :heredoc_end
  end

  def open_heredoc(index, text)
    @heredocs = true
    open(index, text)
  end

  # The first token of the first node among a node's arguments; lists of pairs and parameters are arrays.
  def first_of(args)
    args.each do |arg|
      found = arg.is_a?(Array) ? first_of(arg) : (arg.first if arg.is_a?(Node))
      return found if found
    end
    nil
  end

  def line(number)
    @source[@starts[number - 1]...(@starts[number] || @source.bytesize)]
  end

  def line_of(offset)
    @starts.bsearch_index { |start| start > offset } || @starts.size
  end

  # Ruby reads a heredoc's body as soon as it has read its opener: there the code ends with the opener.
  def code_end(index)
    @tokens[index].type == :heredoc_end ? @tokens[index].mate : index
  end

  # The last token that Ruby had read when it had read this one.
  def scanned(index)
    @tokens[index].type == :heredoc_beg ? @tokens[index].mate : index
  end

  # The outermost heredocs that open between two tokens: whole lines, first of the body to terminator.
  def bodies(first, last)
    return [] unless @heredocs

    found = []
    index = first
    while index <= last
      token = @tokens[index]
      if token.type == :heredoc_beg && token.mate
        number = line_of(@tokens[index + 1].from)
        found << [@starts[number - 1], @tokens[token.mate].to]
        index = token.mate
      end
      index += 1
    end
    found
  end

  def span(first, last)
    [@tokens[first].from, @tokens[last].to]
  end

  # -- Statements --

  def statement(node, first, last)
    mentions = []
    @runs = []
    whole = running(node)
    @runs << whole.merge(name: 'from_file', always: true, deferred: false, line: line_at(node)) if whole
    found = setting(node, first, last, mentions) unless whole
    spend(node) unless found
    walk([node], mentions) unless found || whole
    code = span(first, last)
    { type: node.type, line: line_of(code[0]), span: code, bodies: bodies(first, last), mentions: mentions,
      runs: @runs }.merge(found || {})
  end

  # name['key'] = value, name 'value', name('value'): the statements that can be read without guessing.
  def setting(node, first, last, mentions)
    case node.type
    when :assign then index_setting(node, first, last, mentions)
    when :command, :method_add_arg then call_setting(node, first, last, mentions)
    end
  end

  def index_setting(node, first, last, mentions)
    path = path_of(node.args[0])
    return unless path && path.size > 1 && path.all? && @tokens[first].type == :ident

    closing = first
    (path.size - 1).times { closing = @tokens[closing + 1].mate }
    equals = closing + 1
    return unless @tokens[equals]&.type == :op && node.args[1].is_a?(Node)

    walk([node.args[1]], mentions)
    { name: path[0], keys: path.drop(1), value: describe(node.args[1], equals + 1, last) }
  end

  def call_setting(node, first, last, mentions)
    name, arguments = node.type == :command ? node.args : [node.args[0].args[0], node.args[1].args[0]]
    return unless node.type == :command || node.args[0].type == :fcall
    return unless arguments.is_a?(Node) && @tokens[first].type == :ident && !RUNNERS.include?(name.args[0])

    list, block = arguments.type == :args_add_block ? arguments.args : [arguments, false]
    return unless block == false && list.type == :args && list.args.size == 1

    opener = first + 1
    if node.type == :method_add_arg
      return unless @tokens[opener].mate == last

      from = opener + 1
      to = code_end(last - 1)
    else
      from = opener
      to = last
    end
    walk([list], mentions)
    { name: name.args[0], keys: [], value: describe(list.args[0], from, to) }
  end

  # ['gitlab_kas', 'env', nil] for gitlab_kas['env'][x], nil for what is not rooted in a name.
  def path_of(node)
    case node.type
    when :vcall then [node.args[0].args[0]]
    when :aref, :aref_field
      base = path_of(node.args[0]) or return
      base + [key_of(node.args[1])]
    end
  end

  def key_of(arguments)
    arguments = arguments.args[0] if arguments.is_a?(Node) && arguments.type == :args_add_block
    return unless arguments.is_a?(Node) && arguments.args.size == 1

    simple_text(arguments.args[0])
  end

  # The text of 'a', "a", :a, :"a", a: and "a": as Ruby reads it; nil for what is no plain literal.
  def simple_text(node)
    return text(node.args[0].chomp(':')) if node.type == :label

    node = node.args[0] if node.type == :symbol_literal && node.args[0].is_a?(Node)
    return text(node.args[0].args[0]) if node.type == :symbol
    return unless %i[string_literal dyna_symbol].include?(node.type) && node.args[0].type == :string

    parts = node.args[0].args
    return '' if parts.empty?
    return unless parts.all? { |part| part.type == :tstring_content }

    plain = parts.map { |part| part.args[0] }.join
    plain.match?(/[\\\r]/) ? unescaped(parts[0].first - 1) : text(plain)
  rescue StandardError
    nil
  end

  def unescaped(opener)
    return if @tokens[opener].type == :heredoc_beg

    code = @source[@tokens[opener].from...@tokens[@tokens[opener].mate].to].chomp(':')
    text(eval(code.force_encoding(encoding)).to_s)
  end

  # -- Values --

  def describe(node, first, last)
    code = span(first, last)
    plain = literal?(node)
    value = { type: kind(node, plain), span: code, line: line_of(code[0]),
              bodies: bodies(first, last).select { |from, _| from >= code[1] },
              tangled: tangled?(first, code), effects: !plain && effects?([node]) }
    value[:pairs] = pairs(node, first, last) if node.type == :hash
    value[:type] = 'expression' if node.type == :hash && !value[:pairs]
    found = literal(node, code, value) if plain && !value[:tangled]
    value[:literal] = found[0] if found
    value
  end

  def kind(node, plain)
    return node.type if %i[hash array].include?(node.type)
    return 'string' if %i[string_literal string_concat].include?(node.type)

    plain ? 'scalar' : 'expression'
  end

  # The body of a heredoc that opens before the value, on its first line, lies between the value's lines.
  def tangled?(first, code)
    return false unless @heredocs

    start = @starts[line_of(code[0]) - 1]
    index = first - 1
    while index >= 0 && @tokens[index].from >= start
      token = @tokens[index]
      return true if token.type == :heredoc_end && token.to < code[1]

      index = token.type == :heredoc_end ? token.mate - 1 : index - 1
    end
    false
  end

  def literal?(node)
    return true unless node.is_a?(Node)
    return %w[nil true false].include?(node.args[0].args[0]) if node.type == :var_ref

    LITERAL.include?(node.type) && node.args.flatten.all? { |arg| !arg.is_a?(Node) || literal?(arg) }
  end

  # [value] of a literal as Ruby itself reads it.
  def literal(node, code, value)
    return [hash_of(value[:pairs])] if value[:pairs]&.all? { |pair| pair[:key] && pair[:value].key?(:literal) }

    text = @source[code[0]...code[1]]
    return [KEYWORDS[text]] if KEYWORDS.key?(text)
    return [text.to_i] if text.match?(/\A[1-9]\d*\z/)

    plain = simple_text(node) if node.type == :string_literal && text.match?(/\A['"]/n)
    plain ? [plain] : [evaluated(text, value[:bodies])]
  rescue StandardError, SyntaxError
    nil
  end

  def hash_of(pairs)
    { hash: pairs.map { |pair| [pair[:key], pair[:value][:literal]] } }
  end

  def evaluated(text, bodies)
    text << "\n" << bodies.map { |from, to| @source[from...to] }.join unless bodies.empty?
    encode(eval(text.force_encoding(encoding)))
  end

  def encode(value)
    case value
    when nil, true, false, Integer then value
    when Float then value.finite? ? value : raise(ArgumentError)
    when String then text(value)
    when Symbol then { symbol: text(value.to_s) }
    when Array then value.map { |item| encode(item) }
    when Hash then { hash: value.map { |key, item| [encode(key), encode(item)] } }
    else raise ArgumentError
    end
  end

  # Text in another encoding than UTF-8 is not the text that it looks like.
  def text(value)
    raise ArgumentError unless value.ascii_only? || (value.encoding == Encoding::UTF_8 && value.valid_encoding?)

    value.dup.force_encoding('UTF-8')
  end

  # The pairs of a hash literal, split at the commas of its own depth; nil where that does not add up.
  def pairs(node, first, last)
    nodes = node.args[0] ? node.args[0].args[0] : []
    return unless @tokens[first].type == :lbrace && @tokens[first].mate == last

    segments = split(first, last)
    return unless segments.size == nodes.size

    nodes.zip(segments).map do |pair, (from, to)|
      key = simple_text(pair.args[0]) if pair.type == :assoc_new
      value = value_of(pair, from, to) if pair.type == :assoc_new
      { key: value && key, span: span(from, to), bodies: bodies(from, to), value: value }
    end
  end

  def value_of(pair, from, to)
    return unless pair.args[1]

    arrow = shallow(from, to).find { |index| %i[label label_end].include?(@tokens[index].type) || arrow?(index) }
    describe(pair.args[1], arrow + 1, to) if arrow
  end

  def arrow?(index)
    @tokens[index].type == :op && @source[@tokens[index].from, 2] == '=>'
  end

  # Token indexes between two, without those in brackets or strings.
  def shallow(from, to)
    found = []
    index = from
    while index <= to
      found << index
      mate = @tokens[index].mate
      index = mate && mate > index ? mate : index
      found << index if @tokens[index].type == :label_end
      index += 1
    end
    found
  end

  def split(first, last)
    segments = []
    from = first + 1
    shallow(from, last - 1).each do |index|
      next unless @tokens[index].type == :comma

      segments << [from, code_end(index - 1)]
      from = index + 1
    end
    segments << [from, code_end(last - 1)] if from < last
    segments
  end

  # Evaluating it may do more than yield a value.
  def effects?(nodes)
    nodes.flatten.any? do |node|
      next false unless node.is_a?(Node)
      next true if EFFECTS.include?(node.type) || (node.type == :fcall && RUNNERS.include?(node.args[0].args[0]))
      next true if node.type == :binary && %i[<< =~ !~].include?(node.args[1])
      next true if @last_match && node.type == :regexp_literal
      next true if node.type == :call && !HARMLESS.include?(method_of(node)) && !matching?(node)

      effects?(node.args)
    end
  end

  # Matching leaves $~ behind, which matters only where somebody asks for it.
  def matching?(node)
    !@last_match && MATCHING.include?(method_of(node))
  end

  # -- Files that a statement runs --

  # What a statement runs that does nothing else: from_file 'x', in a loop over files, or only if the file is there.
  # Where a variable of a loop is given, it stands for each of the files.
  def running(node, variable = nil)
    case node.type
    when :command, :method_add_arg then running_call(node, variable)
    when :if, :if_mod, :binary then running_if_there(node, variable)
    when :method_add_block, :for then running_each(node) unless variable
    end
  end

  def running_call(node, variable)
    name, arguments = runner(node)
    return unless name == 'from_file' && arguments&.size == 1

    path = file_name(arguments[0], variable)
    { paths: path.is_a?(String) ? [path] : path, pattern: false, sorted: false, guarded: false } if path
  end

  # [name, arguments] of a call that runs another file; arguments that cannot be told are nil.
  def runner(node)
    return unless %i[command method_add_arg].include?(node.type)

    call = node.type == :command ? node : node.args[0]
    return unless %i[command fcall].include?(call.type) && RUNNERS.include?(call.args[0].args[0])

    [call.args[0].args[0], arguments_in(node.args[1])]
  end

  def arguments_in(node)
    node = node.args[0] if node.type == :arg_paren
    node = node.args[0] if node.is_a?(Node) && node.type == :args_add_block && node.args[1] == false
    node.args if node.is_a?(Node) && node.type == :args
  end

  # A literal path, or the variable of the loop, as a symbol.
  def file_name(node, variable)
    return simple_text(node) unless node.type == :var_ref

    variable if variable && node.args[0].args[0] == variable.to_s
  end

  def running_if_there(node, variable)
    return if node.type == :binary && !%i[&& and].include?(node.args[1])

    condition, body, other = node.type == :binary ? node.args.values_at(0, 2) : node.args
    found = running(body, variable) if !other && (body = only(body))
    found.merge(guarded: true) if found && there?(condition, found[:paths], variable)
  end

  # Whether a condition is that these files are there, or the directory that they are in.
  def there?(condition, paths, variable)
    receiver, method, arguments = constant_call(condition)
    return unless %w[File FileTest Dir].include?(receiver) && EXISTS.include?(method) && arguments&.size == 1

    tested = file_name(arguments[0], variable) or return
    return tested == paths unless tested.is_a?(String) && paths.is_a?(Array)

    paths == [tested] || paths.all? { |path| path.start_with?("#{tested.chomp('/')}/") }
  end

  # ['File', 'exist?', arguments] of File.exist?('x'), ['Dir', '[]', arguments] of Dir['x'].
  def constant_call(node)
    call = node.type == :method_add_arg ? node.args[0] : node
    return unless %i[call command_call aref].include?(call.type)

    receiver = call.args[0]
    return unless %i[var_ref top_const_ref].include?(receiver.type) && receiver.args[0].type == :const

    arguments = node.args[-1] unless node.type == :call
    [receiver.args[0].args[0], call.type == :aref ? '[]' : method_of(call), arguments && arguments_in(arguments)]
  end

  # Dir.glob('x').each { |f| … }, Dir.glob('x') { |f| … }, for f in Dir['x'] … end
  def running_each(node)
    variable, files, body = node.type == :for ? node.args : parts_of_loop(*node.args)
    variable = variable.args[0] if variable.is_a?(Node) && variable.type == :var_field
    return unless variable.is_a?(Node) && variable.type == :ident && (files = listed(files)) && (body = only(body))

    found = running(body, variable.args[0].to_sym)
    files.merge(guarded: found[:guarded]) if found && found[:paths].is_a?(Symbol)
  end

  # [its only parameter, what it goes through, body] of a loop that is a call with a block.
  def parts_of_loop(call, block)
    call = call.args[0] if call.type == :call && method_of(call) == 'each'
    parameters, body = block.args
    return unless parameters.is_a?(Node) && parameters.args[0].is_a?(Node) && !parameters.args[1]

    required, *others = parameters.args[0].args
    [required[0], call, body] if required.is_a?(Array) && required.size == 1 && others.none?
  end

  # The only statement of a body.
  def only(body)
    body = body.args[0] if body.type == :bodystmt && body.args.drop(1).none?
    return body unless body.type == :stmts

    found = body.args.reject { |node| node.type == :void_stmt }
    found[0] if found.size == 1
  end

  # The files that an expression lists: literal paths, or the patterns of Dir.glob.
  def listed(node)
    return listed(node.args[0])&.merge(sorted: true) if node.type == :call && method_of(node) == 'sort'

    receiver, method, arguments = constant_call(node)
    is_glob = receiver == 'Dir' && %w[glob []].include?(method)
    paths = is_glob ? texts(arguments) : (texts([node]) if node.type == :array)
    { paths: paths, pattern: is_glob, sorted: false, guarded: false } if paths
  end

  # The texts of plain strings and of lists of them; nil where one is anything else.
  def texts(nodes)
    found = nodes&.flat_map do |node|
      next [simple_text(node)] unless node.type == :array

      list = node.args[0]
      case list&.type
      when :args then list.args.map { |item| simple_text(item) }
      when :qwords then list.args.map { |word| word.args[0] }
      else [nil]
      end
    end
    found if found.to_a.any? && found.all?
  end

  # A call that runs a file where other code decides whether and when.
  def note_run(node, stored)
    name, arguments = runner(node)
    path = simple_text(arguments[0]) if arguments&.size == 1
    # A library is no file of settings, unless somebody says where to look for one.
    return if !name || (name == 'require' && path && !path.match?(%r{\A[./~]}) && !@load_path)

    run_of_code(name, stored, node, name == 'from_file' && path ? [path] : nil)
  end

  def run_of_code(name, deferred, node, paths = nil)
    @runs << { name: name, paths: paths, pattern: false, sorted: false, guarded: false, always: false,
               deferred: deferred, line: line_at(node) }
  end

  # -- Code that may set anything, and has run when its statement has --

  # Note where a statement reaches settings through something else and forgets it at once: self.x = 1, Gitlab['x'].
  def spend(node)
    case node.type
    when :if, :unless, :elsif, :if_mod, :unless_mod then spend_each(node.args.drop(1))
    when :stmts, :else, :begin, :bodystmt, :paren then spend_each(node.args)
    when :assign, :opassign then spend_root(node.args[0]) if %i[aref_field field].include?(node.args[0].type)
    else spend_root(node)
    end
  end

  def spend_each(nodes)
    nodes.flatten.each { |node| spend(node) if node.is_a?(Node) }
  end

  def spend_root(node)
    case node.type
    when :call, :command_call, :field then spend_root(node.args[0]) unless KEEPERS.include?(method_of(node))
    when :method_add_arg, :command then spend_call(node)
    when :aref, :aref_field then spend_root(node.args[0])
    when :var_ref, :top_const_ref, :vcall then @spent[node.args[0]] = true
    end
  end

  # send(:x, 1) does what its first argument says.
  def spend_call(node)
    call = node.type == :command ? node : node.args[0]
    return spend_root(call) unless %i[fcall command].include?(call.type)

    method = arguments_in(node.args[1])&.first
    name = method && simple_text(method)
    @spent[call.args[0]] = true if name && !KEEPERS.include?(name)
  end

  # [name, what is left to walk] of a node that reaches settings on the spot.
  def on_the_spot(node)
    leaf = node.args[0]
    [leaf.args[0], node.args.drop(1)] if leaf.is_a?(Node) && @spent[leaf] && REACHES.include?(leaf.args[0])
  end

  # -- Mentions: every other use of a name --

  def walk(nodes, mentions, deferred: false, inside: nil)
    nodes.flatten.each do |node|
      next unless node.is_a?(Node)

      later = deferred || (SCOPES.include?(node.type) && !@loops[node])
      @loops[node.args[1]] = true if loop?(node)
      note_run(node, later)
      within = %i[def defs lambda].include?(node.type) ? node.type : inside
      reached, rest = on_the_spot(node)
      if reached
        run_of_code(reached, later, node)
      else
        rest = uses(node, within) do |names, access, via = nil|
          mentions << { name: names[0], keys: names.drop(1), access: access, via: via, deferred: later,
                        line: line_at(node) }
        end
      end
      walk(rest || node.args, mentions, deferred: later, inside: within)
    end
  end

  # Whether a call runs its block at once.
  def loop?(node)
    call = node.args[0] if node.type == :method_add_block
    call = call.args[0] if call && call.type == :method_add_arg
    return call.args[0].args[0] == 'loop' if call && call.type == :fcall

    call && call.type == :call && LOOPS.include?(method_of(call))
  end

  def line_at(node)
    line_of(@tokens[node.first || node.last].from)
  end

  # Yields what this node does to a name; returns what is left to walk, nil for all of it.
  def uses(node, inside, &block)
    case node.type
    when :assign, :opassign then assigned(node, &block)
    when :massign then targets([node.args[0]], &block)
    when :var_field then local(node.args[0])
    when :const_ref then @defined << node.args[0].args[0]
    when :var_ref, :top_const_ref then variable(node.args[0], &block)
    when :regexp_literal then captures(node)
    when :vcall, :aref, :aref_field then path_used(node, 'read', &block)
    when :call, :command_call, :field then called(node, &block)
    when :binary then path_used(node.args[0], 'change', '<<', &block) if node.args[1] == :<<
    when :def then yield([node.args[0].args[0]], 'change')
    when :fcall, :command then yield([node.args[0].args[0]], 'call') unless RUNNERS.include?(node.args[0].args[0])
    when :alias, :undef, :BEGIN, :END then yield([node.type.to_s], 'call')
    when :return, :return0 then yield(['return'], 'call') unless inside
    end
    rest_of(node)
  end

  def rest_of(node)
    case node.type
    when :vcall then []
    when :aref, :aref_field then path_of(node) ? keys_in(node) : nil
    when :assign, :opassign then path_of(node.args[0]) ? [keys_in(node.args[0]), node.args[-1]] : nil
    when :call, :command_call, :field then path_of(node.args[0]) ? [keys_in(node.args[0]), node.args.drop(3)] : nil
    when :binary then node.args[1] == :<< && path_of(node.args[0]) ? [keys_in(node.args[0]), node.args[2]] : nil
    end
  end

  # The index expressions along a path, which may mention names of their own.
  def keys_in(node)
    node.type == :vcall ? [] : [keys_in(node.args[0]), node.args[1]]
  end

  def path_used(node, access, via = nil)
    path = path_of(node) if node.is_a?(Node)
    yield(path, access, via) if path
  end

  def assigned(node, &block)
    access = node.type == :assign ? 'write' : 'change'
    path_used(node.args[0], access, node.type == :assign ? '=' : node.args[1].args[0], &block)
  end

  def targets(nodes, &block)
    nodes.flatten.each do |node|
      next unless node.is_a?(Node)

      path = path_of(node)
      path ? yield(path, 'change', '=') : targets(node.args, &block)
      local(node) if node.type == :ident
    end
  end

  def called(node, &block)
    path_used(node.args[0], 'change', method_of(node), &block)
  end

  def method_of(node)
    node.args[2].is_a?(Node) ? node.args[2].args[0] : node.args[2].to_s
  end

  # /(?<name>…)/ =~ text makes a local variable.
  def captures(node)
    text = @source[@tokens[node.first].from...@tokens[node.last].to] if node.first
    text&.scan(/\(\?<([a-z_]\w*)>/) { |names| @locals[names[0]] ||= line_of(@tokens[node.first].from) }
  end

  def variable(leaf)
    case leaf.type
    when :ident then local(leaf)
    when :const, :ivar then yield([leaf.args[0]], 'read')
    when :kw then yield([leaf.args[0]], 'read') if %w[self __LINE__].include?(leaf.args[0])
    end
  end

  def local(leaf)
    return unless leaf.is_a?(Node)

    @defined << leaf.args[0] if leaf.type == :const
    return unless leaf.type == :ident

    @locals[leaf.args[0]] ||= line_of(@tokens[leaf.first].from)
  end
end

# The tokens that hold other characters than ASCII, without comments: [offset, whether it is a name, text].
def foreign_words(source)
  return [] if source.ascii_only? || !source.valid_encoding?

  starts = [0]
  source.b.scan("\n") { starts << Regexp.last_match.end(0) }
  Ripper.lex(source).filter_map do |(line, column), type, text|
    next if text.ascii_only? || %i[on_comment on_embdoc on___end__].include?(type)

    [starts[line - 1] + column, %i[on_ident on_const on_ivar on_gvar on_label].include?(type), text]
  end
rescue StandardError
  []
end

def problem_in(source)
  RubyVM::InstructionSequence.compile(source, 'gitlab.rb', 'gitlab.rb', 1)
  nil
rescue SyntaxError => e
  # Ruby quotes the file in its messages; the file holds secrets.
  message = e.message.scrub # it quotes the file in the file's own encoding, which its bytes may not fit
  why = message[/unexpected [a-z][a-z -]*|unterminated [a-z ]+|end of file/i]
  { line: message[/:(\d+):/, 1].to_i, why: why }
end

# The files that Dir.glob lists, in its order; with the upcoming file, where one is given and its place is known.
def files(patterns, sorted, upcoming)
  found = patterns.flat_map do |pattern|
    names = Dir.glob(pattern)
    is_new = upcoming && !names.include?(upcoming) && File.fnmatch?(pattern, upcoming, File::FNM_PATHNAME)
    is_plain = !File.dirname(pattern).match?(/[*?\[{]/) && !pattern.include?('{')
    is_new && is_plain && (sorted || RUBY_VERSION >= '3') ? names.push(upcoming).sort : names
  end
  sorted ? found.sort : found
end

$stdout.sync = true
$stdin.binmode
while (header = $stdin.gets)
  question = JSON.parse(header)
  if question['glob']
    puts JSON.generate(files: files(*question.values_at('glob', 'sorted', 'upcoming')))
    next
  end
  source = $stdin.read(question['bytes']).force_encoding('UTF-8')
  begin
    answer = { problem: problem_in(source) }
    unless answer[:problem]
      outline = Outline.new(source)
      outline.parse
      answer = outline.answer(question['commented'])
    end
    answer[:words] = foreign_words(source)
    puts JSON.generate(answer)
  rescue SystemStackError, JSON::NestingError
    puts JSON.generate({ failure: 'it is nested too deeply' })
  end
end
