import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Grant } from '../auth/access-controller.ts';

/** One request and its answer, as the handlers see them. */
export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly requestId: string;
  /** Who asks and what they may do, once that is known. Without users everybody may do everything. */
  grant: Grant = { user: undefined, permits: () => true };
  /** Bytes of the answer's body. */
  sentBytes = 0;
  readonly #search: string;
  readonly #headers: OutgoingHttpHeaders;
  #query: URLSearchParams | undefined;
  #gone: AbortController | undefined;

  /** @param options.headers what every answer carries; @param options.search the query, without its question mark. */
  constructor(options: {
    readonly request: IncomingMessage;
    readonly response: ServerResponse;
    readonly requestId: string;
    readonly search: string;
    readonly headers: OutgoingHttpHeaders;
  }) {
    this.request = options.request;
    this.response = options.response;
    this.requestId = options.requestId;
    this.#search = options.search;
    this.#headers = options.headers;
  }

  /** Who asks, once that is known. */
  get user(): string | undefined {
    return this.grant.user;
  }

  get query(): URLSearchParams {
    return (this.#query ??= new URLSearchParams(this.#search));
  }

  /** Aborted when the client goes away before it has its answer. */
  get signal(): AbortSignal {
    if (this.#gone === undefined) {
      const gone = new AbortController();
      this.#gone = gone;
      if (this.clientIsGone) gone.abort(new ClientGoneError());
      this.response.once('close', () => {
        if (!this.response.writableFinished) gone.abort(new ClientGoneError());
      });
    }
    return this.#gone.signal;
  }

  /** The status that was answered; 499 when the client did not wait for it, as nginx logs it. */
  get status(): number {
    return this.response.writableFinished ? this.response.statusCode : 499;
  }

  get clientIsGone(): boolean {
    return (this.response.destroyed || this.request.socket.destroyed) && !this.response.writableFinished;
  }

  /** Begins an answer whose body follows piece by piece. */
  begin(status: number, headers: OutgoingHttpHeaders): void {
    this.response.writeHead(status, { ...this.#headers, ...headers });
  }

  /** Answers with a whole body, or with none. `Content-Length` is set. The body of an answer to HEAD is not sent. */
  answer(status: number, headers: OutgoingHttpHeaders = {}, body?: Buffer | string): void {
    const bytes = typeof body === 'string' ? Buffer.from(body) : body;
    const length = status === 204 || status === 304 ? undefined : (bytes?.length ?? 0);
    this.begin(status, length === undefined ? headers : { ...headers, 'content-length': length });
    if (this.request.method !== 'HEAD') this.sentBytes += bytes?.length ?? 0;
    this.response.end(bytes);
  }

  answerJson(status: number, value: unknown, headers: OutgoingHttpHeaders = {}): void {
    this.answer(status, { 'content-type': 'application/json', ...headers }, JSON.stringify(value));
  }
}

/** The client closed the connection: nobody is there to be told. */
export class ClientGoneError extends Error {
  override readonly name = 'ClientGoneError';
  constructor() {
    super('the client went away');
  }
}
