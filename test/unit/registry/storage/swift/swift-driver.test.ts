import { after } from 'node:test';
import { openSwift } from '../../../../../src/registry/storage/swift/open-swift.ts';
import { systemClock } from '../../../../../src/process/clock.ts';
import { testDriver } from '../../../../support/driver-conformance.ts';
import { logSink } from '../../../../support/log-sink.ts';
import { swiftOptions } from '../../../../support/swift-options.ts';
import { startSwiftStandIn } from '../../../../support/swift-stand-in.ts';

const standIn = await startSwiftStandIn({ after });
let stores = 0;

testDriver('the Swift driver', async (use) => {
  const options = swiftOptions({ authurl: `${standIn.url}/auth/v1.0`, prefix: `store-${++stores}` });
  await use(await openSwift(options, { clock: systemClock, log: logSink().log, environment: {} }));
});
