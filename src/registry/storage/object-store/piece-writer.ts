import type { FileWriter } from '../driver.ts';

/** About how many bytes all writers of a store may gather together; as many again may be on their way. */
const MEMORY = 32 * 1024 * 1024;

/** Gives each writer of a store its share of the memory: few have large pieces, many small ones. */
export class PieceSizes {
  readonly #largest: number;
  readonly #unit: number;
  #writers = 0;

  /** @param options.unit bytes of the smallest piece; all have a multiple of it. */
  constructor(options: { readonly largest: number; readonly unit: number }) {
    this.#largest = options.largest;
    this.#unit = options.unit;
  }

  /** Bytes of a writer's next piece. */
  next(): number {
    const share = Math.min(this.#largest, MEMORY / Math.max(1, this.#writers));
    return Math.max(this.#unit, Math.floor(share / this.#unit) * this.#unit);
  }

  enter(): void {
    this.#writers++;
  }

  leave(): void {
    this.#writers--;
  }
}

export interface PieceSink {
  /** Bytes there already. */
  readonly size: number;
  /** Shared by all writers of the store. */
  readonly sizes: PieceSizes;
  /** Takes the next piece, which goes to `start`. */
  send(piece: Buffer, start: number): Promise<void>;
  /** Takes what is left at the end, which may be nothing, and keeps all of it. */
  finish(rest: Buffer, start: number): Promise<void>;
}

/** Gathers chunks into the pieces that a store takes, and sends one while the next is gathered. */
export class PieceWriter implements FileWriter {
  readonly #sink: PieceSink;
  #chunks: Uint8Array[] = [];
  #gathered = 0;
  /** Where the gathered bytes go. */
  #position: number;
  #pieceBytes: number;
  /** The piece under way; never rejects. */
  #sending: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(sink: PieceSink) {
    this.#sink = sink;
    this.#position = sink.size;
    sink.sizes.enter();
    this.#pieceBytes = sink.sizes.next();
  }

  get size(): number {
    return this.#position + this.#gathered;
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    this.#throwFailure();
    // A chunk of a socket may be a small part of a large buffer, which would stay with it.
    this.#chunks.push(chunk.length * 2 < chunk.buffer.byteLength ? chunk.slice() : chunk);
    this.#gathered += chunk.length;
    if (this.#gathered < this.#pieceBytes) return undefined;
    if (this.#sending !== undefined || this.#gathered >= 2 * this.#pieceBytes) return this.#sendPieces();
    this.#send();
    return undefined;
  }

  async close(): Promise<void> {
    try {
      await this.#sendPieces();
      await this.#sending;
      this.#throwFailure();
      await this.#sink.finish(Buffer.concat(this.#chunks), this.#position);
    } finally {
      this.#sink.sizes.leave();
    }
  }

  /** Sends until less than a piece is left, which the last one may still be on its way with. */
  async #sendPieces(): Promise<void> {
    while (this.#gathered >= this.#pieceBytes) {
      await this.#sending;
      this.#throwFailure();
      this.#send();
    }
  }

  #send(): void {
    const bytes = this.#pieceBytes;
    const gathered = Buffer.concat(this.#chunks);
    const start = this.#position;
    this.#chunks = bytes < gathered.length ? [Uint8Array.from(gathered.subarray(bytes))] : [];
    this.#gathered -= bytes;
    this.#position += bytes;
    this.#pieceBytes = this.#sink.sizes.next();
    this.#sending = this.#sink
      .send(gathered.subarray(0, bytes), start)
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#sending = undefined;
      });
  }

  #throwFailure(): void {
    if (this.#failure) throw this.#failure.error;
  }
}
