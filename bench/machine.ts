import { readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { availableParallelism, cpus, release, totalmem } from 'node:os';

export interface Machine {
  readonly processor: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  /** Of the measured directories. */
  readonly fileSystem: string;
}

export function describeMachine(folder: string): Machine {
  return {
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: release(),
    node: process.version,
    fileSystem: fileSystemOf(folder, readFileSync('/proc/self/mountinfo', 'utf8')),
  };
}

/** Bytes that this user may still write there. */
export async function freeSpace(folder: string): Promise<number> {
  const { bavail, bsize } = await statfs(folder);
  return bavail * bsize;
}

/** The type of the deepest mount that holds the path. mountinfo is described in proc(5). */
export function fileSystemOf(path: string, mountinfo: string): string {
  let found = { point: '', type: 'unknown' };
  for (const line of mountinfo.split('\n')) {
    const [before = '', after = ''] = line.split(' - ');
    const point = before.split(' ')[4];
    if (point === undefined || point.length < found.point.length) continue;
    if (path === point || path.startsWith(point.endsWith('/') ? point : `${point}/`)) {
      found = { point, type: after.split(' ')[0] ?? 'unknown' };
    }
  }
  return found.type;
}
