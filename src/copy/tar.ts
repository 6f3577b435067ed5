import type { FileHandle } from 'node:fs/promises';

const BLOCK = 512;

/** Bytes of a long name, and of what else is said of a file. */
const LONGEST_EXTENSION = 1024 * 1024;

/** A file in a tar. */
export interface TarEntry {
  /** Where its bytes begin. */
  readonly start: number;
  readonly size: number;
}

/** What does not fit into the header of a file comes before it. */
interface Extension {
  readonly name?: string;
  readonly link?: string;
  readonly size?: number;
}

/** What the archive is, by what it begins with. */
const GZIP = Buffer.from([0x1f, 0x8b]);

/**
 * Finds the files of a tar, without reading them: ustar, and of PAX and GNU the long names. Links lead to the file that
 * they name.
 * @throws Error for a file that is no tar.
 */
export async function readTarIndex(file: FileHandle): Promise<ReadonlyMap<string, TarEntry>> {
  const entries = new Map<string, TarEntry>();
  const links: [name: string, target: string][] = [];
  let long: Extension = {};
  for (let at = 0; ;) {
    const header = await readAt(file, at, BLOCK);
    if (at === 0 && header.subarray(0, 2).equals(GZIP)) {
      throw new Error('is compressed: unpack it with gunzip first');
    }
    if (header.length < BLOCK || header.every((byte) => byte === 0)) break;
    if (header.toString('latin1', 257, 262) !== 'ustar') throw new Error('is not a tar archive');
    const size = long.size ?? numberAt(header, 124, 12);
    const start = at + BLOCK;
    at = start + Math.ceil(size / BLOCK) * BLOCK;
    const type = String.fromCharCode(header[156] ?? 0);
    if (type === 'L' || type === 'K' || type === 'x') {
      // Says something of the next file.
      if (size > LONGEST_EXTENSION) throw new Error('has a name that is too long');
      long = { ...long, ...readExtension(type, await readAt(file, start, size)) };
      continue;
    }
    const name = normalized(long.name ?? plainName(header));
    const target = long.link ?? textAt(header, 157, 100);
    long = {};
    if (type === '0' || type === '\0') entries.set(name, { start, size });
    else if (type === '1') links.push([name, normalized(target)]);
    else if (type === '2') links.push([name, resolved(name, target)]);
  }
  for (const [name, target] of links) {
    const entry = entries.get(target);
    if (entry) entries.set(name, entry);
  }
  return entries;
}

export async function readAt(file: FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.alloc(length);
  let filled = 0;
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, position + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return buffer.subarray(0, filled);
}

/** The header of a file. Sizes past 8 GiB are written as GNU does. */
export function tarHeader(name: string, size: number): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.write(name, 0, 100);
  header.write('0000644\x000000000\x000000000\x00', 100);
  if (size < 8 ** 11) header.write(`${size.toString(8).padStart(11, '0')}\0`, 124);
  else {
    header[124] = 0x80;
    header.writeBigUInt64BE(BigInt(size), 128);
  }
  header.write(`${'0'.repeat(11)}\0${' '.repeat(8)}0`, 136);
  header.write('ustar\x0000', 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148);
  return header;
}

/** What follows a file of `size` bytes, up to the next block. */
export function tarPadding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** The end of an archive. */
export const TAR_END = Buffer.alloc(2 * BLOCK);

function plainName(header: Buffer): string {
  const prefix = textAt(header, 345, 155);
  const name = textAt(header, 0, 100);
  return prefix === '' ? name : `${prefix}/${name}`;
}

function textAt(buffer: Buffer, start: number, length: number): string {
  const bytes = buffer.subarray(start, start + length);
  const end = bytes.indexOf(0);
  return bytes.toString('utf8', 0, end === -1 ? bytes.length : end);
}

function numberAt(header: Buffer, start: number, length: number): number {
  if (((header[start] ?? 0) & 0x80) !== 0) return Number(header.readBigUInt64BE(start + length - 8));
  return Number.parseInt(textAt(header, start, length).trim() || '0', 8);
}

/** GNU has an entry for each; in PAX they are records of `<length> <key>=<value>\\n`. */
function readExtension(type: 'K' | 'L' | 'x', content: Buffer): Extension {
  const text = textAt(content, 0, content.length);
  if (type === 'L') return { name: text };
  if (type === 'K') return { link: text };
  const name = /^\d+ path=(.*)$/m.exec(text)?.[1];
  const link = /^\d+ linkpath=(.*)$/m.exec(text)?.[1];
  const size = /^\d+ size=(\d+)$/m.exec(text)?.[1];
  return {
    ...(name !== undefined && { name }),
    ...(link !== undefined && { link }),
    ...(size !== undefined && { size: Number(size) }),
  };
}

function normalized(name: string): string {
  return name.replace(/^(?:\.?\/)+/, '');
}

function resolved(name: string, target: string): string {
  const { pathname } = new URL(target, `file:///${name}`);
  return decodeURIComponent(pathname.slice(1));
}
