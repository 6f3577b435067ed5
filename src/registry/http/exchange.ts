import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Http2ServerRequest } from 'node:http2';
import type { Grant } from '../auth/access-controller.ts';

/** Bytes of a body that is worth copying. */
const SMALL_BODY = 8 * 1024;

/** From what the mirror keeps, together with others that asked, from the upstream, from what it may not be any more, or past what is kept. */
export type CacheOutcome = 'hit' | 'join' | 'miss' | 'stale' | 'bypass';

/** One request and its answer, as the handlers see them. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** Who asks and what they may do, once that is known. Without users everybody may do everything. */
  grant: Grant = { user: undefined, permits: () => true };
  /** Of a mirror: where it had the answer from. */
  cache: CacheOutcome | undefined;
  /** Bytes of the request's body that were taken. */
  receivedBytes = 0;
  /** Bytes of the answer's body. */
  sentBytes = 0;
  #closed = false;
  readonly #search: string;
  readonly #headers: OutgoingHttpHeaders;
  readonly #newId: () => string;
  #id: string | undefined;
  #query: URLSearchParams | undefined;
  #gone: AbortController | undefined;

  /** @param options.headers what every answer carries; @param options.search the query, without its question mark. */
  constructor(options: {
    readonly request: IncomingMessage;
    readonly response: ServerResponse;
    readonly newId: () => string;
    readonly search: string;
    readonly headers: OutgoingHttpHeaders;
  }) {
    this.request = options.request;
    this.response = options.response;
    this.#newId = options.newId;
    this.#search = options.search;
    this.#headers = options.headers;
    // In HTTP/2 the connection outlives its requests, and an answer does not know that it was destroyed.
    this.response.once('close', () => {
      this.#closed = true;
    });
  }

  /** Names the request in logs and errors. Made when it is asked for: most requests need none. */
  get requestId(): string {
    return (this.#id ??= this.#newId());
  }

  /** Who asks, once that is known. */
  get user(): string | undefined {
    return this.grant.user;
  }

  get query(): URLSearchParams {
    return (this.#query ??= new URLSearchParams(this.#search));
  }

  /** Whether a body comes with the request. */
  get hasBody(): boolean {
    const { headers } = this.request;
    if (headers['content-length'] !== undefined) return Number(headers['content-length']) > 0;
    // HTTP/2 needs no header to say so.
    return (
      headers['transfer-encoding'] !== undefined ||
      (isHttp2(this.request) && !this.request.stream.endAfterHeaders)
    );
  }

  /** Aborted when the client goes away before it has its answer. */
  get signal(): AbortSignal {
    if (this.#gone === undefined) {
      const gone = new AbortController();
      this.#gone = gone;
      if (this.clientIsGone) gone.abort(new ClientGoneError());
      this.response.once('close', () => {
        if (!this.#isAnswered) gone.abort(new ClientGoneError());
      });
    }
    return this.#gone.signal;
  }

  /** The status that was answered; 499 when the client did not wait for it, as nginx logs it. */
  get status(): number {
    return this.#isAnswered ? this.response.statusCode : 499;
  }

  /** In HTTP/2 a stream that was reset counts as finished. */
  get #isAnswered(): boolean {
    return this.response.writableEnded && this.response.writableFinished;
  }

  get clientIsGone(): boolean {
    const { response, request } = this;
    const cut = isHttp2(request) ? request.stream.destroyed : response.destroyed || request.socket.destroyed;
    return (cut || this.#closed) && !this.#isAnswered;
  }

  /** Begins an answer whose body follows piece by piece. */
  begin(status: number, headers: OutgoingHttpHeaders): void {
    this.response.writeHead(status, { ...this.#headers, ...headers });
  }

  /** Answers with a whole body, or with none. `Content-Length` is set. The body of an answer to HEAD is not sent. */
  answer(status: number, headers: OutgoingHttpHeaders = {}, body: Buffer | string = ''): void {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    const bodyless = status === 204 || status === 304;
    this.begin(status, bodyless ? headers : { ...headers, 'content-length': bytes.length });
    if (this.request.method === 'HEAD' || bytes.length === 0) {
      this.response.end();
      return;
    }
    this.sentBytes += bytes.length;
    // As text that is a byte a character, which headers are too, it leaves in one piece with them: half the work.
    if (bytes.length <= SMALL_BODY) this.response.end(bytes.toString('latin1'), 'latin1');
    else this.response.end(bytes);
  }

  answerJson(status: number, value: unknown, headers: OutgoingHttpHeaders = {}): void {
    this.answer(status, { 'content-type': 'application/json', ...headers }, JSON.stringify(value));
  }
}

/** Requests of HTTP/2 come in the shape of those of HTTP/1.1, with more in it. */
function isHttp2(request: IncomingMessage): request is IncomingMessage & Pick<Http2ServerRequest, 'stream'> {
  return request.httpVersionMajor === 2;
}

/** The client closed the connection: nobody is there to be told. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError';
  constructor() {
    super('the client went away');
  }
}
