import { createHash } from 'node:crypto';

/*
 * The names of docker distribution 2.8 in one container:
 *
 *   <prefix>/files/docker/registry/v2/…              every file; a large one is an empty object that names its segments
 *   <prefix>/segments/<hex[0:3]>/<hex[3:]>/<number>   16 digits; the hex is of the file's path and 32 random bytes
 *
 * The store reads a large object as all objects below the name that its header X-Object-Manifest holds, in their order.
 */

/** distribution appends the SHA-1 of nothing, where it meant that of the path. */
const SHA1_OF_NOTHING = createHash('sha1').digest();

/** Number of the first segment. distribution gives 0 to a small object that it goes on behind, and the next is 2. */
const FIRST_SEGMENT = 1;

/** The name of a file. Slashes before the prefix do not count, those behind it do. */
export function fileName(prefix: string, key: string): string {
  return `${prefix}/files/${key}`.replace(/^\/+/, '');
}

/** What the names of the segments of one large object begin with; no other has the same. @param random 32 bytes. */
export function segmentFolder(prefix: string, key: string, random: Uint8Array): string {
  const hex = Buffer.concat([Buffer.from(`/${key}`), random, SHA1_OF_NOTHING]).toString('hex');
  return `${prefix}/segments/${hex.slice(0, 3)}/${hex.slice(3)}`.replace(/^\/+/, '');
}

export function segmentName(folder: string, number: number): string {
  return `${folder}/${String(number).padStart(16, '0')}`;
}

/** The number that a segment's name ends in, undefined when it is none. */
export function segmentNumber(name: string): number | undefined {
  const digits = /\/(\d{16})$/.exec(name)?.[1];
  return digits === undefined ? undefined : Number(digits);
}

/** The number of the segment behind the last one. */
export function nextSegment(last: number | undefined): number {
  if (last === undefined) return FIRST_SEGMENT;
  return last === 0 ? 2 : last + 1;
}
