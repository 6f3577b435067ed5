import { systemClock } from '../../src/process/clock.ts';
import { openS3 } from '../../src/registry/storage/s3/open-s3.ts';
import { testDriver } from '../support/driver-conformance.ts';
import { logSink } from '../support/log-sink.ts';
import { createBucket } from './s3-bucket.ts';

const bucket = await createBucket();
const deps = { clock: systemClock, environment: {}, log: logSink().log };

let stores = 0;
for (const signature of ['v4auth', 'v2auth']) {
  testDriver(`the driver of S3 on a Ceph gateway with ${signature}`, async (use) => {
    const options = bucket.options({
      rootdirectory: `/conformance/${stores++}`,
      v4auth: String(signature === 'v4auth'),
    });
    await use(await openS3(options, deps));
  });
}
