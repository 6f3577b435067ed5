import { systemClock } from '../../../src/process/clock.ts';
import { openS3 } from '../../../src/registry/storage/s3/open-s3.ts';
import { testDriver } from '../../support/driver-conformance.ts';
import { logSink } from '../../support/log-sink.ts';
import { createBucket } from '../s3-bucket.ts';

/** What every driver has to do, done by the driver of S3 on a Ceph gateway. @param v4auth the version of signatures. */
export async function testS3Driver({ v4auth }: { readonly v4auth: boolean }): Promise<void> {
  const bucket = await createBucket();
  const deps = { clock: systemClock, environment: {}, log: logSink().log };
  let stores = 0;
  testDriver(`the driver of S3 with signatures of version ${v4auth ? 4 : 2}`, async (use) => {
    const options = bucket.options({ rootdirectory: `/conformance/${stores++}`, v4auth: String(v4auth) });
    await use(await openS3(options, deps));
  });
}
