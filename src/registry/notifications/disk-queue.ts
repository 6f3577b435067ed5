import {
  closeSync,
  constants,
  fdatasync,
  fsync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { givenUpAtOnce, type EventQueue } from './event-queue.ts';

/** A segment that has this many bytes gets no more events. */
const SEGMENT_BYTES = 1024 * 1024;

/** Dead letters past this size go to a second file, which the next ones replace. */
const DEAD_LETTER_BYTES = 16 * 1024 * 1024;

const SEGMENT_NAME = /^(\d{16})\.ndjson$/;
/** The file of dead letters in a queue's folder. */
export const DEAD_LETTERS = 'dead-letters.ndjson';
const CURSOR = 'cursor';

/**
 * Keeps events in a folder:
 *
 *   0000000000000007.ndjson   segments: events, a line each; only the last one grows
 *   cursor                    `7 1234`: the first segment, and how many of its bytes have left
 *   dead-letters.ndjson       events that were given up; renamed to 0000000000000000.ndjson they are sent at the next start
 *
 * Writes are synchronous and small, so an event is safe from the end of this process when `push` returns. A crash
 * between a delivery and the cursor's write sends an event twice, never not at all.
 */
export class DiskQueue implements EventQueue {
  readonly #folder: string;
  readonly #limit: number;
  /** Numbers of the segments and how many events each has to give, the first one less those that have left. */
  readonly #segments: { readonly number: number; count: number }[] = [];
  /** Events of the first segment that have not left. */
  #head: string[] = [];
  #headOffset = 0;
  readonly #cursor: number;
  /** Where an earlier process stopped. */
  readonly #resume: { readonly number: number; readonly offset: number };
  #tail: { readonly number: number; readonly file: number; bytes: number } | undefined;
  #deadLetters: number;
  #unsynced = false;

  /** @param limit how many events wait at most. @throws a file system's error when the folder cannot be used. */
  constructor(folder: string, limit: number) {
    this.#folder = folder;
    this.#limit = limit;
    mkdirSync(folder, { recursive: true });
    this.#cursor = openSync(join(folder, CURSOR), constants.O_RDWR | constants.O_CREAT, 0o644);
    const match = /^(\d+) (\d+)/.exec(readFileSync(join(folder, CURSOR), 'latin1'));
    this.#resume = { number: Number(match?.[1]), offset: Number(match?.[2]) };
    this.#open();
    this.#deadLetters = countLines(join(folder, DEAD_LETTERS));
  }

  get size(): number {
    return this.#segments.reduce((sum, { count }) => sum + count, 0);
  }

  get deadLetters(): number {
    return this.#deadLetters;
  }

  push(event: string): number {
    const line = Buffer.from(`${event}\n`);
    const tail = this.#tail && this.#tail.bytes < SEGMENT_BYTES ? this.#tail : this.#startSegment();
    append(tail.file, line, tail.bytes);
    tail.bytes += line.length;
    this.#unsynced = true;
    const last = this.#segments.at(-1);
    if (last) last.count++;
    if (this.#segments.length === 1) this.#head.push(event);
    return this.#giveUpOldest();
  }

  peek(): string | undefined {
    return this.#head[0];
  }

  shift(): void {
    const event = this.#head.shift();
    const first = this.#segments[0];
    if (event === undefined || first === undefined) return;
    first.count--;
    this.#headOffset += Buffer.byteLength(event) + 1;
    if (this.#head.length === 0 && this.#segments.length > 1) this.#nextSegment();
    else this.#writeCursor();
  }

  bury(): void {
    const event = this.peek();
    if (event === undefined) return;
    const path = join(this.#folder, DEAD_LETTERS);
    const file = openSync(path, 'a');
    writeSync(file, `${event}\n`);
    closeSync(file);
    this.#deadLetters++;
    if (statSync(path).size > DEAD_LETTER_BYTES) {
      renameSync(path, join(this.#folder, `older-${DEAD_LETTERS}`));
      this.#deadLetters = 0;
    }
    this.shift();
  }

  async sync(): Promise<void> {
    if (!this.#unsynced || this.#tail === undefined) return;
    this.#unsynced = false;
    await datasync(this.#tail.file);
    const folder = openSync(this.#folder, 'r');
    await syncFile(folder).finally(() => closeSync(folder));
  }

  close(): void {
    closeSync(this.#cursor);
    if (this.#tail) closeSync(this.#tail.file);
    this.#tail = undefined;
  }

  #open(): void {
    const numbers = readdirSync(this.#folder)
      .map((name) => SEGMENT_NAME.exec(name)?.[1])
      .filter((number) => number !== undefined)
      .map(Number)
      .toSorted((a, b) => a - b);
    for (const number of numbers) this.#segments.push({ number, count: countLines(this.#path(number)) });
    this.#load();
  }

  /** Reads what the first segment has to give. A last line without an end was never finished. */
  #load(): void {
    const [first] = this.#segments;
    if (first === undefined) return;
    const offset = first.number === this.#resume.number ? this.#resume.offset : 0;
    const bytes = readFileSync(this.#path(first.number)).subarray(offset);
    this.#head = bytes.toString().split('\n').slice(0, -1);
    this.#headOffset = offset;
    first.count = this.#head.length;
    this.#writeCursor();
    if (first.count === 0 && this.#segments.length > 1) this.#nextSegment();
  }

  #nextSegment(): void {
    const gone = this.#segments.shift();
    this.#load();
    if (gone) unlinkSync(this.#path(gone.number));
  }

  #startSegment(): { number: number; file: number; bytes: number } {
    if (this.#tail) closeSync(this.#tail.file);
    const number = (this.#segments.at(-1)?.number ?? 0) + 1;
    this.#tail = { number, file: openSync(this.#path(number), 'a'), bytes: 0 };
    this.#segments.push({ number, count: 0 });
    if (this.#segments.length === 1) {
      this.#head = [];
      this.#headOffset = 0;
      this.#writeCursor();
    } else if (this.#head.length === 0) {
      this.#nextSegment();
    }
    return this.#tail;
  }

  #giveUpOldest(): number {
    const excess = this.size - this.#limit;
    if (excess <= 0) return 0;
    const first = this.#segments[0];
    if (first && this.#segments.length > 1) {
      const { count } = first;
      this.#nextSegment();
      return count;
    }
    const count = Math.min(givenUpAtOnce(this.#limit), this.#head.length);
    for (let index = 0; index < count; index++) this.shift();
    return count;
  }

  #writeCursor(): void {
    const text = `${this.#segments[0]?.number ?? 0} ${this.#headOffset}`;
    writeSync(this.#cursor, `${text.padEnd(40)}\n`, 0);
  }

  #path(number: number): string {
    return join(this.#folder, `${String(number).padStart(16, '0')}.ndjson`);
  }
}

const datasync = promisify(fdatasync);
const syncFile = promisify(fsync);

/** Writes all or, on a full disk, nothing. */
function append(file: number, bytes: Buffer, end: number): void {
  try {
    for (let written = 0; written < bytes.length;) written += writeSync(file, bytes, written);
  } catch (error) {
    ftruncateSync(file, end);
    throw error;
  }
}

function countLines(path: string): number {
  try {
    return readFileSync(path, 'latin1').split('\n').length - 1;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return 0;
    throw error;
  }
}
