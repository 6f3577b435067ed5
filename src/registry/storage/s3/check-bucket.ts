import type { S3Options } from '../../../contract/config/s3-section.ts';
import type { Clock } from '../../../process/clock.ts';
import { elementText } from '../object-store/xml.ts';
import type { S3Answer, S3Connection } from './s3-connection.ts';

/**
 * Lists one object of the bucket, which is what the registry needs the right to in any case.
 * @throws Error that says which option is wrong, or which right lacks.
 */
export async function checkBucket(connection: S3Connection, options: S3Options, clock: Clock): Promise<void> {
  const answer = await connection.call({
    method: 'GET',
    key: '',
    query: { 'list-type': '2', 'max-keys': '1', prefix: options.rootdirectory.replace(/^\/+/, '') },
    expect: Object.keys(explanations),
  });
  const { refusal } = answer;
  if (refusal === undefined) {
    if (elementText(answer.text(), 'ListBucketResult') !== undefined) return;
    throw new Error(`${answer.request.url.host} answers, but not as S3 does: look at regionendpoint`);
  }
  const explanation = explanations[refusal.code]?.({ answer, options, clock }) ?? '';
  const said = [answer.status, refusal.code, refusal.message].filter(Boolean).join(' ');
  throw new Error(`${explanation} (the store says: ${said})`);
}

interface Refused {
  readonly answer: S3Answer;
  readonly options: S3Options;
  readonly clock: Clock;
}

const explanations: Readonly<Record<string, (refused: Refused) => string>> = {
  NoSuchBucket: ({ options }) => `the bucket ${options.bucket} does not exist: look at bucket, or make it`,
  InvalidBucketName: ({ options }) => `${options.bucket} cannot be the name of a bucket: look at bucket`,
  InvalidAccessKeyId: () => 'the store does not know the access key: look at accesskey',
  SignatureDoesNotMatch: () => 'the store refuses the signature: look at secretkey',
  AccessDenied: ({ options }) =>
    `the credentials may not list the bucket ${options.bucket}: they need s3:ListBucket, s3:GetObject, s3:PutObject, ` +
    's3:DeleteObject, s3:ListBucketMultipartUploads, s3:ListMultipartUploadParts and s3:AbortMultipartUpload',
  ExpiredToken: () => 'the credentials are no longer good: renew them',
  RequestTimeTooSkewed: ({ answer, clock }) =>
    `the clock of this machine is wrong: it says ${new Date(clock.now()).toUTCString()}, and the store ` +
    String(answer.headers.date),
  PermanentRedirect: wrongRegion,
  AuthorizationHeaderMalformed: wrongRegion,
  SecondLevelDomainForbidden: () =>
    'the store wants the bucket in the host name: set forcepathstyle to false',
};

function wrongRegion({ answer, options }: Refused): string {
  const text = answer.text();
  const region = answer.headers['x-amz-bucket-region'] ?? elementText(text, 'Region');
  const place = region === undefined ? elementText(text, 'Endpoint') : `the region ${String(region)}`;
  return `the bucket ${options.bucket} is in ${place ?? 'another region'}: look at region and regionendpoint`;
}
