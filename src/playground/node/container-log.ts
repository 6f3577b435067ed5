import { open, readFile } from 'node:fs/promises';
import type { Clock } from '../../process/clock.ts';

/** What `kubectl logs` asks for. */
export interface LogOptions {
  readonly follow: boolean;
  readonly tailLines?: number | undefined;
}

/** The output of one run of a container: a file that the process itself writes. */
export interface RunLog {
  readonly path: string;
  /** Whether more may come. */
  readonly isRunning: () => boolean;
}

const LOOK_MS = 100;
const CHUNK_BYTES = 64 << 10;

/** The log as `kubectl logs` shows it; one that is followed ends with its run, or with the signal. */
export async function* readLog(
  { path, isRunning }: RunLog,
  { follow, tailLines }: LogOptions,
  clock: Clock,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  await using file = await open(path);
  yield lastLines(await file.readFile(), tailLines);
  if (!follow) return;
  while (!signal.aborted) {
    // Asked before it is read, so that what is written last is seen.
    const mayComeMore = isRunning();
    const { buffer, bytesRead } = await file.read(Buffer.alloc(CHUNK_BYTES));
    if (bytesRead > 0) yield buffer.subarray(0, bytesRead);
    else if (mayComeMore) await clock.sleep(LOOK_MS, signal).catch(() => undefined);
    else return;
  }
}

/** The end of a log, for a termination message. */
export async function endOfLog(path: string, lines: number, bytes: number): Promise<string> {
  return lastLines(await readFile(path), lines)
    .subarray(-bytes)
    .toString();
}

function lastLines(text: Buffer, count = Infinity): Buffer {
  if (count === Infinity) return text;
  const lines = text.toString().split(/(?<=\n)/);
  return Buffer.from(lines.slice(Math.max(0, lines.length - count)).join(''));
}
