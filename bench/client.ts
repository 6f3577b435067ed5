import { Connection, field, type Answer, type Request } from './connection.ts';
import { MANIFEST_TYPE, type Blob, type Image } from './content.ts';

/** How much of an unexpected answer is shown. */
const SHOWN = 500;

/**
 * What docker and crane do on the wire, over one connection: a blob is asked for with HEAD, then sent with POST, PATCH
 * and PUT.
 */
export class RegistryClient {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
  }

  static async open(port: number): Promise<RegistryClient> {
    return new RegistryClient(await Connection.open(port));
  }

  /** What is under way fails. */
  close(): void {
    this.#connection.close();
  }

  async pushBlob(repository: string, blob: Blob): Promise<void> {
    await this.#expect(404, { method: 'HEAD', path: `/v2/${repository}/blobs/${blob.digest}` });
    const opened = await this.#expect(202, { method: 'POST', path: `/v2/${repository}/blobs/uploads/` });
    const sent = await this.#expect(202, {
      method: 'PATCH',
      path: location(opened),
      fields: 'Content-Type: application/octet-stream\r\n',
      body: blob.parts,
    });
    await this.#expect(201, { method: 'PUT', path: withDigest(location(sent), blob) });
  }

  /** The body comes with the PUT that ends the upload, and nothing is asked before. */
  async putBlob(repository: string, blob: Blob): Promise<void> {
    const opened = await this.#expect(202, { method: 'POST', path: `/v2/${repository}/blobs/uploads/` });
    await this.#expect(201, {
      method: 'PUT',
      path: withDigest(location(opened), blob),
      fields: 'Content-Type: application/octet-stream\r\n',
      body: blob.parts,
    });
  }

  async pushImage(repository: string, image: Image): Promise<void> {
    for (const blob of image.blobs) await this.pushBlob(repository, blob);
    await this.#expect(201, {
      method: 'PUT',
      path: `/v2/${repository}/manifests/${image.tag}`,
      fields: `Content-Type: ${MANIFEST_TYPE}\r\n`,
      body: [image.manifest],
    });
  }

  async getManifest(repository: string, reference: string, onBody?: (chunk: Buffer) => void): Promise<void> {
    await this.#expect(200, {
      method: 'GET',
      path: `/v2/${repository}/manifests/${reference}`,
      fields: `Accept: ${MANIFEST_TYPE}\r\n`,
      ...(onBody && { onBody }),
    });
  }

  async headBlob(repository: string, digest: string): Promise<void> {
    await this.#expect(200, { method: 'HEAD', path: `/v2/${repository}/blobs/${digest}` });
  }

  async getBlob(repository: string, digest: string, onBody: (chunk: Buffer) => void): Promise<void> {
    await this.#expect(200, { method: 'GET', path: `/v2/${repository}/blobs/${digest}`, onBody });
  }

  /** Whether the server answers yet. */
  async isReady(): Promise<boolean> {
    return (await this.#connection.request({ method: 'GET', path: '/v2/' })).status === 200;
  }

  async #expect(status: number, request: Request): Promise<Answer> {
    let body = '';
    const keep = (chunk: Buffer): void => {
      if (body.length < SHOWN) body += chunk.toString('utf8', 0, SHOWN);
    };
    const answer = await this.#connection.request({ ...request, onBody: request.onBody ?? keep });
    if (answer.status === status) return answer;
    throw new Error(`${request.method} ${request.path}: ${answer.status} instead of ${status}. ${body}`);
  }
}

/** The path and query of a Location, which may be a whole URL. */
function location(answer: Answer): string {
  const value = field(answer, 'location');
  if (value === undefined) throw new Error(`no Location:\n${answer.head}`);
  const url = new URL(value, 'http://localhost');
  return url.pathname + url.search;
}

function withDigest(path: string, { digest }: Blob): string {
  return `${path}${path.includes('?') ? '&' : '?'}digest=${digest}`;
}
