package metrics

import "slices"

// boxFamilies are those of the hardware.
func boxFamilies() []family[Snapshot] {
	conditions := BoxConditions()
	return []family[Snapshot]{
		{
			name: "box_condition", help: "What is wrong with the hardware: 1 while it is so.",
			label: "condition", values: conditions,
			of: func(s *Snapshot, i int) float64 { return truth(slices.Contains(s.Box.Conditions, conditions[i])) },
		},
		{
			name: "box_temperature_celsius", help: "Temperature of the hottest sensor. 0 if there is none.",
			of: func(s *Snapshot, _ int) float64 { return s.Box.Celsius },
		},
		{
			name: "box_memory_level", help: "How short memory is: 0 there is plenty, 1 short, 2 scarce, 3 empty.",
			of: func(s *Snapshot, _ int) float64 { return float64(s.Box.MemoryLevel) },
		},
		{
			name: "box_memory_pressure_ratio", help: "Share of the last 10 s in which work waited for memory.",
			of: func(s *Snapshot, _ int) float64 { return s.Box.Pressure },
		},
		{
			name: "box_clock_synchronised", help: "Whether the clock is kept right: 1 yes, 0 no, -1 not known.",
			of: func(s *Snapshot, _ int) float64 {
				if s.Box.Synced == nil {
					return -1
				}
				return truth(*s.Box.Synced)
			},
		},
		{
			name: "box_clock_steps_total", help: "How often the clock was set while the program ran.", counter: true,
			of: func(s *Snapshot, _ int) float64 { return float64(s.Box.ClockSteps) },
		},
		{
			name: "box_links_up", help: "Network links with a carrier.",
			of: func(s *Snapshot, _ int) float64 { return float64(s.Box.LinksUp) },
		},
	}
}
