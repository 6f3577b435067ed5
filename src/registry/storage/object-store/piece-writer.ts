import type { FileWriter } from '../driver.ts';
import { free } from '../free-buffer.ts';
import { GatheredBytes } from './gathered-bytes.ts';

/** About how many bytes all writers of a store may gather together; as many again may be on their way. */
const MEMORY = 32 * 1024 * 1024;

/** Gives each writer of a store its share of the memory: few have large pieces, many small ones. */
export class PieceSizes {
  /** Bytes of the largest piece. */
  readonly largest: number;
  readonly #unit: number;
  #writers = 0;

  /** @param options.unit bytes of the smallest piece; all have a multiple of it. */
  constructor(options: { readonly largest: number; readonly unit: number }) {
    this.largest = options.largest;
    this.#unit = options.unit;
  }

  /** Bytes that a writer gathers for a piece while there are so many writers. */
  next(): number {
    return Math.max(this.#unit, this.pieceOf(MEMORY / Math.max(1, this.#writers)));
  }

  /** How many of the gathered bytes one piece may have. */
  pieceOf(gathered: number): number {
    return Math.floor(Math.min(this.largest, gathered) / this.#unit) * this.#unit;
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
  /** Takes the next piece, which goes to `start`. Once the store has it, nobody may look at it any more. */
  send(piece: Buffer<ArrayBuffer>, start: number): Promise<void>;
  /** As `send`, with what is left at the end, which may be nothing, and keeps all of it. */
  finish(rest: Buffer<ArrayBuffer>, start: number): Promise<void>;
}

/** Gathers chunks into the pieces that a store takes, and sends one while the next is gathered. */
export class PieceWriter implements FileWriter {
  readonly #sink: PieceSink;
  readonly #gathered: GatheredBytes;
  /** Where the gathered bytes go. */
  #position: number;
  /** The piece under way; never rejects. */
  #sending: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(sink: PieceSink) {
    this.#sink = sink;
    this.#position = sink.size;
    this.#gathered = new GatheredBytes(sink.sizes.largest);
    sink.sizes.enter();
  }

  get size(): number {
    return this.#position + this.#gathered.size;
  }

  write(chunk: Uint8Array): Promise<void> | undefined {
    this.#throwFailure();
    this.#gathered.push(chunk);
    // Asked anew each time: the share of an early writer shrinks when others come.
    const enough = this.#sink.sizes.next();
    if (this.#gathered.size < enough) return undefined;
    if (this.#sending !== undefined || this.#gathered.size >= 2 * enough) return this.#sendPieces();
    this.#send();
    return undefined;
  }

  async close(): Promise<void> {
    try {
      await this.#sendPieces();
      await this.#sending;
      this.#throwFailure();
      const rest = this.#gathered.take();
      await this.#sink.finish(rest, this.#position);
      free(rest.buffer);
    } finally {
      this.#sink.sizes.leave();
    }
  }

  /** Sends until less than a piece is left, which the last one may still be on its way with. */
  async #sendPieces(): Promise<void> {
    while (this.#gathered.size >= this.#sink.sizes.next()) {
      await this.#sending;
      this.#throwFailure();
      this.#send();
    }
  }

  #send(): void {
    const start = this.#position;
    const piece = this.#gathered.take(this.#sink.sizes.pieceOf(this.#gathered.size));
    this.#position += piece.length;
    this.#sending = this.#sink
      .send(piece, start)
      .then(() => free(piece.buffer))
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
