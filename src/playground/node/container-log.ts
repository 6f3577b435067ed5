import { createReadStream } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { EventEmitter, on } from 'node:events';
import { createInterface } from 'node:readline';

/** What `kubectl logs` asks for. */
export interface LogOptions {
  readonly follow: boolean;
  readonly timestamps: boolean;
  readonly tailLines?: number | undefined;
}

interface NumberedLine {
  /** 1 is the first line of the file. */
  readonly number: number;
  readonly line: string;
}

/** The output of one run of a container: a file with a line for each, `TIME STREAM TEXT`. */
export class ContainerLog {
  readonly path: string;
  readonly #file: FileHandle;
  readonly #now: () => number;
  readonly #lines = new EventEmitter<{ line: [NumberedLine]; end: [] }>();
  #writing: Promise<unknown> = Promise.resolve();
  #count = 0;
  #ended = false;

  private constructor(path: string, file: FileHandle, now: () => number) {
    this.path = path;
    this.#file = file;
    this.#now = now;
    this.#lines.setMaxListeners(0);
  }

  static async create(path: string, now: () => number): Promise<ContainerLog> {
    return new ContainerLog(path, await open(path, 'w', 0o600), now);
  }

  /** Resolves at the end of `output`, when all of it is in the file. */
  async take(stream: 'stdout' | 'stderr', output: NodeJS.ReadableStream): Promise<void> {
    for await (const text of createInterface({ input: output, crlfDelay: Infinity })) {
      const line = `${new Date(this.#now()).toISOString()} ${stream} ${text}`;
      this.#writing = this.#writing.then(() => this.#file.appendFile(`${line}\n`));
      this.#lines.emit('line', { number: ++this.#count, line });
      await this.#writing;
    }
  }

  async end(): Promise<void> {
    await this.#writing;
    await this.#file.close();
    this.#ended = true;
    this.#lines.emit('end');
  }

  /** The lines that come from now on, to the end of the log. */
  async *follow(signal: AbortSignal): AsyncGenerator<NumberedLine> {
    if (this.#ended) return;
    const over = new AbortController();
    this.#lines.once('end', () => over.abort());
    try {
      // The emitter gives the arguments of each event as a list.
      const events = on(this.#lines, 'line', { signal: AbortSignal.any([signal, over.signal]) });
      for await (const [line] of events as AsyncIterable<[NumberedLine]>) yield line;
    } catch (error) {
      if (!signal.aborted && !over.signal.aborted) throw error;
    }
  }
}

/** The log at `path` as `kubectl logs` shows it; `running` when its run goes on, so that it can be followed. */
export async function* readLog(
  path: string,
  options: LogOptions,
  context: { readonly running: ContainerLog | undefined; readonly signal: AbortSignal },
): AsyncGenerator<Buffer> {
  const { follow, timestamps, tailLines } = options;
  // Listens before it reads, so that no line falls between the two.
  const coming = follow ? context.running?.follow(context.signal) : undefined;
  const first = coming?.next();
  const written: string[] = [];
  let read = 0;
  for await (const line of createInterface({ input: createReadStream(path), crlfDelay: Infinity })) {
    read += 1;
    written.push(line);
    if (tailLines !== undefined && written.length > tailLines) written.shift();
  }
  const show = (line: string): Buffer => {
    const [time = '', stream = ''] = line.split(' ', 2);
    const text = line.slice(time.length + stream.length + 2);
    return Buffer.from(`${timestamps ? `${time} ` : ''}${text}\n`);
  };
  for (const line of written) yield show(line);
  if (coming === undefined || first === undefined) return;
  for (let next = await first; next.done !== true; next = await coming.next()) {
    // A line that came while the file was read may have been in it.
    if (next.value.number > read) yield show(next.value.line);
  }
}

/** The end of a log without its times, for a termination message. */
export async function lastLines(path: string, lines: number, bytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  const options = { follow: false, timestamps: false, tailLines: lines };
  const context = { running: undefined, signal: new AbortController().signal };
  for await (const chunk of readLog(path, options, context)) chunks.push(chunk);
  return Buffer.concat(chunks).subarray(-bytes).toString();
}
