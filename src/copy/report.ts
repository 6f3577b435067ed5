import { bytesText } from '../process/bytes-text.ts';
import type { Clock } from '../process/clock.ts';
import type { BlobOutcome } from './sides.ts';
import type { ImageReport, RunOptions } from './run-plan.ts';

type Progress = RunOptions['progress'];

/** What a run did in all. Bytes are those that were handed to the network or the disk. */
export interface CopySummary {
  readonly images: { readonly copied: number; readonly unchanged: number; readonly failed: number };
  readonly blobs: Readonly<Record<BlobOutcome, number>>;
  readonly bytes: number;
  readonly seconds: number;
}

/** Counts what is done. */
export class CopyTally implements Progress {
  readonly #clock: Clock;
  readonly #began: number;
  readonly #images = { copied: 0, unchanged: 0, failed: 0 };
  readonly #blobs = { copied: 0, mounted: 0, there: 0 };
  #bytes = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#began = clock.monotonic();
  }

  sent(bytes: number): void {
    this.#bytes += bytes;
  }

  blob(outcome: BlobOutcome): void {
    this.#blobs[outcome]++;
  }

  image({ result }: ImageReport): void {
    this.#images[result]++;
  }

  summary(): CopySummary {
    const seconds = (this.#clock.monotonic() - this.#began) / 1000;
    return {
      images: this.#images,
      blobs: this.#blobs,
      bytes: this.#bytes,
      seconds: Math.round(seconds * 10) / 10,
    };
  }
}

/** One line of text for an image that is done. */
export function imageLine(report: ImageReport): string {
  const { source, destination } = report;
  if (report.result === 'failed') return `failed     ${source} → ${destination}: ${report.message}`;
  return `${report.result.padEnd(10)} ${source} → ${destination} ${report.digest}`;
}

export function summaryLine({ images, blobs, bytes, seconds }: CopySummary): string {
  const all = images.copied + images.unchanged + images.failed;
  return (
    `${all} ${all === 1 ? 'image' : 'images'}: ${images.copied} copied, ${images.unchanged} unchanged, ${images.failed} failed; ` +
    `blobs: ${blobs.copied} copied, ${blobs.mounted} mounted, ${blobs.there} there already; ${bytesText(bytes)} in ${seconds} s`
  );
}

/** What a terminal shows meanwhile. @param jobs images in all. */
export function statusLine({ images, bytes, seconds }: CopySummary, jobs: number): string {
  const done = images.copied + images.unchanged + images.failed;
  return `${done} of ${jobs} images, ${bytesText(bytes)}, ${bytesText(bytes / Math.max(seconds, 0.1))}/s`;
}
