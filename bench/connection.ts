import { connect, type Socket } from 'node:net';

/** One read buffer for all connections: each chunk is used up before the next one is read. */
const inbox = Buffer.allocUnsafeSlow(256 * 1024);

export interface Answer {
  readonly status: number;
  /** The first line and the header fields, as they came. */
  readonly head: string;
}

export interface Request {
  readonly method: string;
  readonly path: string;
  /** Whole lines, each with its CRLF. */
  readonly fields?: string;
  readonly body?: readonly Uint8Array[];
  /** Gets the body of the answer; a chunk is only valid during the call. */
  readonly onBody?: (chunk: Buffer) => void;
}

interface Pending {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
  readonly method: string;
  readonly onBody: ((chunk: Buffer) => void) | undefined;
  answer?: Answer;
  /** Bytes of the body still to come, once the head is there. */
  remaining: number;
}

/**
 * A kept-alive HTTP/1.1 connection, one request at a time. It exists because `node:http` costs the client as much as
 * the server spends on a small request, and because the client shares the machine with the server.
 */
export class Connection {
  readonly #socket: Socket;
  readonly #host: string;
  #pending: Pending | undefined;
  /** The start of a head that came in parts. */
  #partial: Buffer | undefined;

  private constructor(port: number, opened: (error?: Error) => void) {
    this.#host = `127.0.0.1:${port}`;
    const onread = {
      buffer: inbox,
      callback: (count: number): boolean => {
        try {
          this.#received(inbox.subarray(0, count));
        } catch (error) {
          this.#socket.destroy(error as Error); // Only we throw in there.
        }
        return true;
      },
    };
    this.#socket = connect({ port, host: '127.0.0.1', noDelay: true, onread }, () => opened());
    this.#socket.once('error', opened);
    this.#socket.on('error', (error) => this.#fail(error));
    this.#socket.on('close', () => this.#fail(new Error('the connection was closed')));
  }

  static open(port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const connection = new Connection(port, (error) => (error ? reject(error) : resolve(connection)));
    });
  }

  close(): void {
    this.#socket.destroy();
  }

  /** @throws when the connection ends before the answer is whole. */
  request({ method, path, fields = '', body, onBody }: Request): Promise<Answer> {
    const length = body?.reduce((sum, part) => sum + part.length, 0);
    const bodyless = method === 'GET' || method === 'HEAD';
    const framing = bodyless ? '' : `Content-Length: ${length ?? 0}\r\n`;
    const head = `${method} ${path} HTTP/1.1\r\nHost: ${this.#host}\r\n${framing}${fields}\r\n`;
    return new Promise((resolve, reject) => {
      if (this.#pending) throw new Error('one request at a time');
      if (this.#socket.destroyed) throw new Error('the connection is closed');
      const pending: Pending = { resolve, reject, method, onBody, remaining: 0 };
      this.#pending = pending;
      this.#send(head, body ?? [], pending).catch(reject);
    });
  }

  async #send(head: string, body: readonly Uint8Array[], pending: Pending): Promise<void> {
    const [first] = body;
    if (body.length === 1 && first && first.length <= 64 * 1024) {
      this.#socket.write(Buffer.concat([Buffer.from(head, 'latin1'), first]));
      return;
    }
    this.#socket.write(head, 'latin1');
    for (const part of body) {
      // An answer that comes before the body is whole is a refusal.
      if (this.#pending !== pending || this.#socket.destroyed) return;
      await new Promise<void>((resolve) => {
        this.#socket.write(part, () => resolve());
      });
    }
  }

  #received(bytes: Buffer): void {
    const pending = this.#pending;
    if (!pending) throw new Error('the server sent what nobody asked for');
    let rest = bytes;
    if (pending.answer === undefined) {
      if (this.#partial) rest = Buffer.concat([this.#partial, rest]);
      const end = rest.indexOf('\r\n\r\n');
      if (end === -1) {
        this.#partial = Buffer.from(rest);
        return;
      }
      this.#partial = undefined;
      pending.answer = parseHead(rest.toString('latin1', 0, end));
      pending.remaining = bodyLength(pending.answer, pending.method);
      rest = rest.subarray(end + 4);
    }
    if (rest.length > 0) pending.onBody?.(rest);
    pending.remaining -= rest.length;
    if (pending.remaining > 0) return;
    this.#pending = undefined;
    pending.resolve(pending.answer);
  }

  #fail(error: Error): void {
    this.#pending?.reject(error);
    this.#pending = undefined;
  }
}

/** The value of a header field, undefined when it is absent. */
export function field(answer: Answer, name: string): string | undefined {
  const start = answer.head.toLowerCase().indexOf(`\r\n${name.toLowerCase()}:`);
  if (start === -1) return undefined;
  const end = answer.head.indexOf('\r\n', start + 2);
  return answer.head.slice(start + 3 + name.length, end === -1 ? undefined : end).trim();
}

function parseHead(head: string): Answer {
  return { status: Number(head.slice('HTTP/1.1 '.length, 'HTTP/1.1 '.length + 3)), head };
}

function bodyLength(answer: Answer, method: string): number {
  if (method === 'HEAD' || answer.status === 204 || answer.status === 304) return 0;
  const length = field(answer, 'content-length');
  if (length === undefined) throw new Error(`an answer without Content-Length:\n${answer.head}`);
  return Number(length);
}
