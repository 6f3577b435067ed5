import type { FileWriter } from '../driver.ts';

export interface PieceSink {
  /** Bytes there already. */
  readonly size: number;
  /** Bytes of the next piece; asked for each time, because it may depend on how many write. */
  readonly pieceBytes: () => number;
  /** Takes the next piece, of exactly `pieceBytes`, which goes to `start`. */
  send(piece: Buffer, start: number): Promise<void>;
  /** Takes what is left at the end, which may be nothing, and keeps all of it. */
  finish(rest: Buffer, start: number): Promise<void>;
  /** The writer was closed, whether or not that worked. */
  readonly ended: () => void;
}

/**
 * Gathers chunks into the pieces that a store takes, and sends one while the next is gathered: no more than two and a
 * chunk are in memory.
 */
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
    this.#pieceBytes = sink.pieceBytes();
  }

  get size(): number {
    return this.#position + this.#gathered;
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    this.#throwFailure();
    this.#chunks.push(chunk);
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
      this.#sink.ended();
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
    this.#chunks = [gathered.subarray(bytes)];
    this.#gathered -= bytes;
    this.#position += bytes;
    this.#pieceBytes = this.#sink.pieceBytes();
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
