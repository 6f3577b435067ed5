import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readFile, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

export interface ImageLayout {
  readonly folder: string;
  /** `sha256:…` of the manifest. */
  readonly digest: string;
  /** `sha256:…` of each layer. */
  readonly layers: readonly string[];
  /** Of all blobs, in bytes. */
  readonly size: number;
}

/** Writes an OCI layout with one image of `count` layers, each a tar with one file of `size` random bytes. */
export function writeImageLayout(folder: string, count: number, size: number): Promise<ImageLayout> {
  const layers = Array.from({ length: count }, (_, index) =>
    tarWithOneFile(`layer-${index}`, randomBytes(size), 0o644),
  );
  return writeLayout(folder, layers, {});
}

/** Writes an OCI layout with an image that runs a program, which needs no other file. */
export async function writeProgramLayout(folder: string, program: string): Promise<ImageLayout> {
  const layer = tarWithOneFile('program', await readFile(program), 0o755);
  return writeLayout(folder, [layer], { Entrypoint: ['/program'] });
}

async function writeLayout(
  folder: string,
  tars: readonly Buffer[],
  settings: Readonly<Record<string, unknown>>,
): Promise<ImageLayout> {
  const blobs = join(folder, 'blobs/sha256');
  await mkdir(blobs, { recursive: true });
  let total = 0;
  const put = async (mediaType: string, content: Buffer) => {
    const hash = createHash('sha256').update(content).digest('hex');
    await writeFile(join(blobs, hash), content);
    total += content.length;
    return { mediaType, digest: `sha256:${hash}`, size: content.length };
  };

  const layers = [];
  for (const tar of tars) layers.push(await put('application/vnd.oci.image.layer.v1.tar', tar));
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch;
  const rootfs = { type: 'layers', diff_ids: layers.map((layer) => layer.digest) };
  const config = await put(
    'application/vnd.oci.image.config.v1+json',
    Buffer.from(JSON.stringify({ architecture, os: 'linux', config: settings, rootfs })),
  );
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = await put(
    mediaType,
    Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers })),
  );
  await writeFile(join(folder, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(join(folder, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [manifest] }));
  return { folder, digest: manifest.digest, layers: layers.map((layer) => layer.digest), size: total };
}

/** Compares every blob of two layouts, byte by byte. Returns how many bytes are the same; throws when any is not. */
export async function compareLayouts(expected: string, actual: string): Promise<number> {
  const [names, others] = await Promise.all(
    [expected, actual].map(async (folder) => (await readdir(join(folder, 'blobs/sha256'))).toSorted()),
  );
  if (names === undefined || names.join() !== others?.join()) {
    throw new Error(`the blobs differ: ${names?.join()} and ${others?.join()}`);
  }
  let same = 0;
  for (const name of names) {
    const [one, other] = await Promise.all(
      [expected, actual].map((folder) => readFile(join(folder, 'blobs/sha256', name))),
    );
    if (one === undefined || other === undefined || !one.equals(other))
      throw new Error(`blob ${name} differs`);
    same += one.length;
  }
  return same;
}

/** A tar in the ustar format. */
export function tarWithOneFile(name: string, content: Buffer, mode: number): Buffer {
  const header = Buffer.alloc(512);
  const octal = (value: number, width: number) => value.toString(8).padStart(width - 1, '0') + '\0';
  header.write(name, 0);
  header.write(octal(mode, 8), 100);
  header.write(octal(0, 8) + octal(0, 8), 108);
  header.write(octal(content.length, 12) + octal(0, 12), 124);
  header.write(' '.repeat(8) + '0', 148);
  header.write('ustar\x0000', 257);
  header.write(
    octal(
      header.reduce((sum, byte) => sum + byte, 0),
      7,
    ),
    148,
  );
  const padding = (512 - (content.length % 512)) % 512;
  return Buffer.concat([header, content, Buffer.alloc(padding + 1024)]);
}
