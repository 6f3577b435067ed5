import { createHmac } from 'node:crypto';

const ENCODED = 'whsec_';

/**
 * Headers by which a receiver knows who sent a body, and when. https://www.standardwebhooks.com, symmetric signatures.
 * @param secret `whsec_` and base64, or any text. @param time milliseconds since the epoch.
 */
export function signatureHeaders(
  secret: string,
  event: { readonly id: string; readonly body: string; readonly time: number },
): Readonly<Record<string, string>> {
  const key = secret.startsWith(ENCODED)
    ? Buffer.from(secret.slice(ENCODED.length), 'base64')
    : Buffer.from(secret);
  const seconds = Math.floor(event.time / 1000);
  const signature = createHmac('sha256', key).update(`${event.id}.${seconds}.${event.body}`).digest('base64');
  return {
    'webhook-id': event.id,
    'webhook-timestamp': String(seconds),
    'webhook-signature': `v1,${signature}`,
  };
}
