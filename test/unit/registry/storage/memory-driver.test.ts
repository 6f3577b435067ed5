import { testDriver } from '../../../support/driver-conformance.ts';
import { MemoryDriver } from '../../../support/memory-driver.ts';

// Tests of the lease and the collector build on this twin, so it has to behave as the real drivers do.
testDriver('the driver in memory', (use) => use(new MemoryDriver(() => 1)));
