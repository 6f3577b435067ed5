// What helm test runs: pushes an image to the registry at $REGISTRY and pulls it again. The registry may still be starting.
import { createHash } from 'node:crypto';

const base = `${process.env.REGISTRY}/v2/helm-test/image`;
const digestOf = (bytes) => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

async function expect(status, url, options) {
  const response = await fetch(url, { ...options, signal: AbortSignal.timeout(10_000) });
  if (response.status !== status) {
    throw new Error(
      `${options?.method ?? 'GET'} ${url}: ${response.status}, not ${status}: ${await response.text()}`,
    );
  }
  return response;
}

async function push(bytes) {
  const digest = digestOf(bytes);
  const upload = await expect(202, `${base}/blobs/uploads/`, { method: 'POST' });
  const place = new URL(upload.headers.get('location'), base);
  place.searchParams.set('digest', digest);
  await expect(201, place, {
    method: 'PUT',
    body: bytes,
    headers: { 'content-type': 'application/octet-stream' },
  });
  return { digest, size: bytes.length };
}

async function pull(url, wanted) {
  const bytes = Buffer.from(await (await expect(200, url)).arrayBuffer());
  if (digestOf(bytes) !== wanted) throw new Error(`${url}: other bytes than were pushed`);
}

async function started() {
  const end = Date.now() + 150_000;
  for (;;) {
    try {
      return await expect(200, `${process.env.REGISTRY}/v2/`);
    } catch (error) {
      if (Date.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
}

async function main() {
  await started();
  const config = { mediaType: 'application/vnd.oci.empty.v1+json', ...(await push(Buffer.from('{}'))) };
  const layer = { mediaType: 'application/octet-stream', ...(await push(Buffer.from('helm test'))) };
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, config, layers: [layer] }));
  await expect(201, `${base}/manifests/latest`, {
    method: 'PUT',
    body: manifest,
    headers: { 'content-type': mediaType },
  });
  await pull(`${base}/manifests/latest`, digestOf(manifest));
  await pull(`${base}/blobs/${layer.digest}`, layer.digest);
  process.stdout.write(`Pushed and pulled ${base}:latest, ${digestOf(manifest)}\n`);
}

await main();
