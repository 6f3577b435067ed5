import { createHash } from 'node:crypto';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  ask,
  crane,
  type Answer,
  type RegistryPlace,
  type RequestInput,
  type User,
} from './registry-client.ts';

/** A client for the images of one repository. Every call throws with what the registry or the client said. */
export interface ImageClient {
  /** Pushes an OCI layout with one image. */
  push(user: User, layout: string, tag: string): Promise<void>;
  /** Pulls into a new OCI layout. */
  pull(user: User, tag: string, layout: string): Promise<void>;
  digest(user: User, tag: string): Promise<string>;
  remove(user: User, digest: string): Promise<void>;
  tags(user: User): Promise<readonly string[]>;
}

/** crane, which needs root for the name of the registry. */
export function craneImages(place: RegistryPlace, repository: string, folder: string): ImageClient {
  const name = `${place.name}:${place.port}/${repository}`;
  const run = async (user: User, ...args: readonly string[]): Promise<string> => {
    const { code, stdout, stderr } = await crane(place, folder, user, args);
    if (code !== 0) throw new Error(`crane ${args.join(' ')}: ${stderr.trim()}`);
    return stdout.trim();
  };
  return {
    async push(user, layout, tag) {
      await run(user, 'push', layout, `${name}:${tag}`);
    },
    async pull(user, tag, layout) {
      await run(user, 'pull', '--format=oci', `${name}:${tag}`, layout);
    },
    digest: (user, tag) => run(user, 'digest', `${name}:${tag}`),
    async remove(user, digest) {
      await run(user, 'delete', `${name}@${digest}`);
    },
    tags: async (user) => (await run(user, 'ls', name)).split('\n'),
  };
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json';

/** Requests as any client makes them: needs nothing but Node. */
export function plainImages(place: RegistryPlace, repository: string): ImageClient {
  const send = async (
    user: User,
    method: string,
    path: string,
    expected: number,
    input: RequestInput = {},
  ): Promise<Answer> => {
    const answer = await ask(place, method, path, { ...input, user });
    if (answer.status !== expected) {
      throw new Error(`${method} ${path}: ${answer.status} ${answer.bytes.toString().slice(0, 500)}`);
    }
    return answer;
  };
  const path = (rest: string): string => `/v2/${repository}/${rest}`;

  async function pushBlob(user: User, layout: string, { digest }: Descriptor): Promise<void> {
    const known = await ask(place, 'HEAD', path(`blobs/${digest}`), { user });
    if (known.status === 200) return;
    const started = await send(user, 'POST', path('blobs/uploads/'), 202);
    const location = new URL(started.headers.location ?? '', 'https://registry');
    location.searchParams.set('digest', digest);
    const headers = { 'content-type': 'application/octet-stream' };
    const body = await readFile(blobFile(layout, digest));
    await send(user, 'PUT', `${location.pathname}${location.search}`, 201, { headers, body });
  }

  return {
    async push(user, layout, tag) {
      // What writeImageLayout wrote.
      const index = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as {
        readonly manifests: readonly [Descriptor];
      };
      const body = await readFile(blobFile(layout, index.manifests[0].digest));
      const blobs = blobsOf(body);
      await Promise.all(blobs.map((blob) => pushBlob(user, layout, blob)));
      const headers = { 'content-type': index.manifests[0].mediaType };
      await send(user, 'PUT', path(`manifests/${tag}`), 201, { headers, body });
    },
    async pull(user, tag, layout) {
      await mkdir(join(layout, 'blobs/sha256'), { recursive: true });
      const keep = async (url: string, digest: string | undefined): Promise<Buffer> => {
        const { bytes } = await send(user, 'GET', url, 200, { headers: { accept: OCI_MANIFEST } });
        const own = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
        if (digest !== undefined && own !== digest) throw new Error(`${url} gave the content of ${own}`);
        await writeFile(blobFile(layout, own), bytes);
        return bytes;
      };
      const manifest = await keep(path(`manifests/${tag}`), undefined);
      await Promise.all(blobsOf(manifest).map(({ digest }) => keep(path(`blobs/${digest}`), digest)));
    },
    async digest(user, tag) {
      const { headers } = await send(user, 'HEAD', path(`manifests/${tag}`), 200, {
        headers: { accept: OCI_MANIFEST },
      });
      return String(headers['docker-content-digest']);
    },
    async remove(user, digest) {
      await send(user, 'DELETE', path(`manifests/${digest}`), 202);
    },
    async tags(user) {
      const { bytes } = await send(user, 'GET', path('tags/list'), 200);
      // The shape that the specification gives.
      return (JSON.parse(bytes.toString()) as { readonly tags: readonly string[] }).tags;
    },
  };
}

function blobFile(layout: string, digest: string): string {
  return join(layout, 'blobs', digest.replace(':', '/'));
}

function blobsOf(manifest: Buffer): readonly Descriptor[] {
  // An image manifest, in the shape that the specification gives.
  const { config, layers } = JSON.parse(manifest.toString()) as {
    readonly config: Descriptor;
    readonly layers: readonly Descriptor[];
  };
  return [config, ...layers];
}
