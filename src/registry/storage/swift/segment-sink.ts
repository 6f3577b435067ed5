import { PathNotFoundError } from '../driver.ts';
import type { PieceSink, PieceSizes } from '../object-store/piece-writer.ts';
import type { SwiftContainer } from './container.ts';
import { nextSegment, segmentName } from './layout.ts';

export interface SegmentSinkOptions {
  readonly container: SwiftContainer;
  /** Of the object. */
  readonly name: string;
  /** Bytes that are there already. */
  readonly size: number;
  /** Of the segments that are there already; undefined when the object is not large. */
  readonly folder: string | undefined;
  /** Number of the next segment. */
  readonly next: number;
  readonly newFolder: () => string;
  readonly sizes: PieceSizes;
}

/**
 * Makes segments of the pieces that a writer gathers. The object is put before its first segment, so that whoever finds
 * the object finds all of them, and one that was cut off leaves none without a name.
 */
export class SegmentSink implements PieceSink {
  readonly size: number;
  readonly sizes: PieceSizes;
  readonly #options: SegmentSinkOptions;
  #folder: string | undefined;
  #next: number;

  constructor(options: SegmentSinkOptions) {
    this.#options = options;
    this.size = options.size;
    this.sizes = options.sizes;
    this.#folder = options.folder;
    this.#next = options.next;
  }

  async send(piece: Uint8Array): Promise<void> {
    this.#folder ??= await this.#makeLarge();
    await this.#options.container.put(segmentName(this.#folder, this.#next), piece);
    this.#next = nextSegment(this.#next);
  }

  async finish(rest: Uint8Array): Promise<void> {
    const { container, name } = this.#options;
    if (this.#folder === undefined && this.size === 0) return container.put(name, rest);
    if (rest.length > 0) await this.send(rest);
  }

  /** What is there becomes the first segment. */
  async #makeLarge(): Promise<string> {
    const { container, name, newFolder } = this.#options;
    const folder = newFolder();
    if (this.size > 0) {
      const copied = await container.copy(name, segmentName(folder, this.#next));
      if (!copied) throw new PathNotFoundError(name);
      this.#next = nextSegment(this.#next);
    }
    await container.putLargeObject(name, folder);
    return folder;
  }
}
