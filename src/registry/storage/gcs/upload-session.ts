import { storeRefusal, type StoreAnswer } from '../object-store/store-client.ts';
import type { GcsClient } from './gcs-client.ts';

/** All pieces of an upload but the last have a multiple of this; bytes. */
export const PIECE_UNIT = 256 * 1024;

/** Requests after which Google must have kept more of the bytes that it was sent. */
const PATIENCE = 5;

/**
 * An upload that Google keeps for a week under an address, which whoever has it can continue.
 * https://cloud.google.com/storage/docs/performing-resumable-uploads
 */
export class UploadSession {
  readonly address: string;
  readonly #client: GcsClient;

  constructor(client: GcsClient, address: string) {
    this.#client = client;
    this.address = address;
  }

  /** Begins an upload which, when it is finished, is the object `key` of this content type. */
  static async start(client: GcsClient, key: string, contentType: string): Promise<UploadSession> {
    const answer = await client.fetch(`/upload${client.objectsPath}`, {
      method: 'POST',
      query: { uploadType: 'resumable', name: key },
      headers: { 'x-upload-content-type': contentType },
    });
    const address = answer?.headers.location;
    if (typeof address === 'string') return new UploadSession(client, address);
    throw lost(client, 'Google gave no address for an upload');
  }

  /** Sends bytes, a multiple of PIECE_UNIT, that belong at `start`. What Google has of them already does no harm. */
  async send(piece: Buffer, start: number): Promise<void> {
    await this.#put(piece, start, '*');
  }

  /** Sends the last bytes, which may be none, and makes the object. Can be repeated. */
  async finish(rest: Buffer, start: number): Promise<void> {
    await this.#put(rest, start, String(start + rest.length));
  }

  /** Google may keep less than it was sent; the rest is sent again. */
  async #put(bytes: Buffer, start: number, total: string): Promise<void> {
    const end = start + bytes.length;
    let kept = start;
    for (let attempt = 0; attempt < PATIENCE; attempt++) {
      const range = kept === end ? '*' : `${kept}-${end - 1}`;
      const answer = await this.#client.fetchSession(this.address, {
        method: 'PUT',
        headers: { 'content-range': `bytes ${range}/${total}`, 'content-type': 'application/octet-stream' },
        body: bytes.subarray(kept - start),
      });
      if (answer === undefined) throw lost(this.#client, 'the upload session has ended');
      if (answer.status !== 308) return;
      const now = keptBytes(answer);
      if (now < start) throw lost(this.#client, `the upload session has ${now} bytes, not ${start}`);
      if (now >= end && total === '*') return;
      if (now > kept) attempt = 0;
      kept = Math.min(now, end);
    }
    throw lost(this.#client, `the upload session stays at ${kept} bytes`);
  }
}

/** Bytes that Google says it has: `Range: bytes=0-42`, or no such header. */
function keptBytes({ headers }: StoreAnswer): number {
  const last = /^bytes=0-(\d+)$/.exec(String(headers.range))?.[1];
  return last === undefined ? 0 : Number(last) + 1;
}

function lost(client: GcsClient, reason: string): Error {
  return storeRefusal({ method: 'PUT', url: client.url(client.objectsPath) }, 410, 'uploadLost', reason);
}
