// Judges one simulation a line, and answers with one line each: the result, or why there is none.
import { createInterface } from 'node:readline'
import { runSimulation } from '@cloud-copilot/iam-simulate'

for await (const line of createInterface({ input: process.stdin })) {
  let answer
  try {
    const found = await runSimulation(JSON.parse(line), {})
    answer = found.resultType === 'error' ? { error: found.errors.message, more: found.errors } : { result: found.overallResult, ignored: found.result?.ignoredContextKeys }
  } catch (error) {
    answer = { error: String(error) }
  }
  process.stdout.write(JSON.stringify(answer) + '\n')
}
